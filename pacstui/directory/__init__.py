"""The directory (LDAP, Active Directory): who somebody is, whether the password is right, and in which groups."""
