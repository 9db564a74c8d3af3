"""The mock cluster: a deterministic model of a Slurm cluster, its users and its nodes.

The same seed always gives the same events. Everything it reports is marked as ``mock``. It lives
beside the simulator, and not in the shared layer, because Lambda never runs it.
"""
