"""PostgreSQL: the adapters of the storage ports, their SQL and the schema's migrations."""
