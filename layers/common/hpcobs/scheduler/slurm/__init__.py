"""Slurm's controller, asked through slurmrestd."""
