"""A new signing key when it is time for one."""
