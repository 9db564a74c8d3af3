"""The rotation of the signing key."""
