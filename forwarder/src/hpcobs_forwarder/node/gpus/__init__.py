"""The node's GPUs: readers for each vendor, and the mapping of GPUs to jobs."""
