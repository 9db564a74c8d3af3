"""Benchmarks: each measures a floor and hpcobs in turn, in one run, and prints the ratio."""
