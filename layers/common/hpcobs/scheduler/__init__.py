"""Adapters for schedulers, which implement ``hpcobs.ports.scheduler``, and Slurm's notations."""
