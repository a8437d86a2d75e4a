"""What ``pacstui doctor`` looks at. Each check returns findings; none changes more than a scratch file."""
