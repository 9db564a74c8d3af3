"""The adapters of the sample queue: SQS, and a table in PostgreSQL."""
