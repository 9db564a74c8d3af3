"""Slurm's controller, read through slurmrestd."""
