"""GPUs: one vendor's library per file, and which GPU is which job's."""
