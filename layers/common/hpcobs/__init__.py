"""hpcobs: what an HPC job really did, per job, from Slurm's prolog to a Prometheus scrape."""

__version__ = "0.1.0"
