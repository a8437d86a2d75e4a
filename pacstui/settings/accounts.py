"""Accounts, the directory that they come from, and the audit trail."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from pacstui.settings.base import Name, PemFile, Section, Words


def _syslog_url(value: str) -> str:
    url = value.strip()
    if url:
        kinds = ("syslog+tls", "syslog+tcp", "syslog+udp")
        try:
            parts = urlsplit(url)
            fits = parts.scheme in kinds and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits or parts.path not in ("", "/") or parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "a syslog server is syslog+tls://host:6514, syslog+tcp://host:601 or syslog+udp://host:514"
            )
    return url


def _ldap_url(value: str) -> str:
    url = value.strip()
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("ldap", "ldaps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.path not in ("", "/") or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an LDAP server is ldaps://host or ldap://host, with :port where it is not the usual one")
    return url


def _name_template(value: str) -> str:
    if value and value.count("{name}") == 0:
        raise ValueError("it has to have {name} where the name goes")
    return value


def _group(value: str) -> str:
    if not re.match(r"\s*[A-Za-z0-9.-]+\s*=\s*\S", value):
        raise ValueError("a group is said by its DN, such as cn=pacs-admins,ou=groups,dc=example,dc=org")
    return value.strip()


class AccountsSettings(Section):
    """Accounts and signing in."""

    reach: Literal["auto", "owner", "all"] = "auto"
    """Which OS users of this machine reach the control socket: only the node's own (and root), all, or (auto) all as
    soon as an account is bound to another OS user or has a password, or there is a directory. Who has no account may
    only sign in."""

    wrong_passwords: Annotated[int, Field(ge=1, le=100)] = 5
    """Wrong passwords in a row after which an OS user may not try at that account for a while."""

    lock_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """How long that is in seconds; twice as long with each further wrong one, up to an hour."""

    password_min: Annotated[int, Field(ge=8, le=128)] = 12
    """Fewest characters of a password."""

    one_time_h: Annotated[float, Field(ge=0.1, le=720)] = 24.0
    """Hours for which a one-time password is good."""

    session_h: Annotated[float, Field(ge=0.1, le=720)] = 12.0
    """Hours after which a sign-in with a password ends."""

    idle_h: Annotated[float, Field(ge=0.02, le=720)] = 3.0
    """Hours without a key pressed, or a command, after which a sign-in with a password ends. What a console fetches by
    itself does not count."""

    console_lock_s: Annotated[float, Field(ge=0, le=86400)] = 900.0
    """Seconds without a key after which a console of an account with a password locks; 0 for never."""

    second_factor: Literal["optional", "administrators", "everybody"] = "optional"
    """Who must have a second factor (TOTP, RFC 6238) to sign in with a password: who wants one, accounts that can
    manage accounts, or everybody. Who must have one and has none sets it up at the next sign-in, before anything
    else."""

    second_factor_os_users: bool = False
    """Whether that holds for those too whom the machine knows by their OS user: who has or must have a second factor
    signs in with password and code then."""

    key: PemFile = ""
    """File of the key that the secrets of second factors are made from; empty for accounts.key in the data directory.
    Without it the database tells no secret. Read at the start."""


class DirectoryRoleSettings(Section):
    """What a group of the directory gives. The first entry whose group somebody is in counts."""

    group: Annotated[str, AfterValidator(_group), Words("the DN of a group")]
    """DN of the group, such as cn=pacs-admins,ou=groups,dc=example,dc=org. Capitals do not matter."""

    role: Name
    """Role that its members get here: a built-in one, or one of your own."""


class DirectorySettings(Section):
    """Signing in by an LDAP directory or Active Directory."""

    servers: tuple[Annotated[str, AfterValidator(_ldap_url), Words("the address of an LDAP server")], ...] = ()
    """Addresses, tried in turn: ldaps://dc1.example.org, or ldap://host:389. None: no directory."""

    start_tls: bool = False
    """Begin TLS on ldap:// connections (StartTLS, RFC 4511 4.14) before anything else is said."""

    plain: bool = False
    """Speak ldap:// without TLS to servers that are not this machine itself. Passwords can be read on the network
    then."""

    ca: PemFile = ""
    """Who signed the servers' certificates, a PEM file. Without it those of the system are trusted."""

    bind_dn: str = ""
    """Whom the node signs in as to search: a DN, or in Active Directory a user principal name. Empty: it searches
    without signing in, or with user_dn as the one who signs in."""

    password_file: PemFile = ""
    """File with its password, readable by the node's user only. Read again at each use."""

    bind_password: Annotated[SecretStr, Words("text")] = SecretStr("")
    """Its password itself, where no file is wanted. Whoever reads the configuration reads it."""

    user_dn: Annotated[str, AfterValidator(_name_template), Words("text with {name}")] = ""
    """Sign people in without a search before: as uid={name},ou=people,dc=example,dc=org, or in Active Directory as
    {name}@example.org. Empty: the entry is searched for first."""

    base: str = ""
    """DN below which people are searched for, such as ou=people,dc=example,dc=org."""

    filter: Annotated[str, AfterValidator(_name_template), Words("a filter with {name}")] = "(uid={name})"
    """Filter that finds a person by the name that was typed (RFC 4515). Active Directory: (sAMAccountName={name})."""

    full_name: str = "cn"
    """Attribute with a person's full name."""

    email: str = "mail"
    """Attribute with a person's e-mail address."""

    groups: Literal["attribute", "search"] = "attribute"
    """Where groups are told: in an attribute of the person's entry, or to be searched for by their members."""

    group_attribute: str = "memberOf"
    """That attribute; its values are DNs."""

    group_base: str = ""
    """DN below which groups are searched for; empty for base."""

    group_filter: str = "(member={dn})"
    """Filter that finds the groups of a person, with {dn} and {name}. For groups of POSIX: (memberUid={name})."""

    nested_groups: Literal["no", "in-chain", "search"] = "no"
    """Count groups that hold a person's groups: by Active Directory's matching rule in chain, or by further searches
    with group_filter, on any server."""

    timeout_s: Annotated[float, Field(ge=1, le=30)] = 5.0
    """Seconds to wait for a server before the next one is tried."""

    recheck_s: Annotated[float, Field(ge=10, le=86400)] = 300.0
    """Seconds after which those who are signed in are looked up again: sessions end of who is gone, disabled, or has
    another role. It takes a search without their password: bind_dn, or a directory that anybody may search."""

    wrong_passwords: Annotated[int, Field(ge=1, le=100)] = 3
    """Wrong passwords in a row, of all OS users together, after which nothing is tried at the directory for that
    person for a while. Less than the directory itself allows, so that nobody is locked there from here."""

    lock_s: Annotated[float, Field(ge=1, le=3600)] = 900.0
    """How long that is in seconds; twice as long with each further wrong one, up to an hour."""

    roles: tuple[DirectoryRoleSettings, ...] = ()
    """What groups give."""


class AuditSettings(Section):
    """The audit trail."""

    key: PemFile = ""
    """File of the key that seals the entries; empty for audit.key in the data directory. Better kept elsewhere: who can
    write both the database and the key can forge entries."""

    days: Annotated[int, Field(ge=0, le=36500)] = 0
    """Days that entries are kept; 0 for ever. What is removed is stood for by a sealed checkpoint. Entries that the
    syslog server does not have yet are kept 30 days longer."""

    server: Annotated[str, AfterValidator(_syslog_url), Words("the address of a syslog server")] = ""
    """A syslog server that gets all entries as DICOM audit messages (PS3.15 A.5): syslog+tls://host:6514,
    syslog+tcp://host:601 or syslog+udp://host:514; empty for none."""

    server_ca: PemFile = ""
    """Who signed the certificate of a server over TLS, a PEM file. Without it those of the system are trusted. Our own
    certificate is the one of [tls]."""

    source_id: Annotated[str, StringConstraints(max_length=64)] = ""
    """Audit Source ID in those messages; empty for the AE title."""

    seen_s: Annotated[float, Field(ge=0, le=86400)] = 900.0
    """Seconds for which a patient in the same view of the same account, or a study sent to the same peer, stands in one
    entry."""
