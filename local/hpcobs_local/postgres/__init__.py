"""The embedded PostgreSQL of the service on one machine."""
