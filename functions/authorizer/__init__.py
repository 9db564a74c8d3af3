"""Authentication of callers, for the gateway."""
