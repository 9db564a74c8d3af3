"""Schedulers behind ``hpcobs.ports.scheduler``."""
