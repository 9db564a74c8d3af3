"""The collector's way into the database: one transaction for each batch of samples."""
