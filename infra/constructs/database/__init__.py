"""The database: an RDS instance or an Aurora cluster, optionally behind RDS Proxy."""
