"""hpcobs shows how each HPC job used its CPUs, memory and GPUs, from prolog to scrape."""

__version__ = "0.1.0"
