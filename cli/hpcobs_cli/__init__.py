"""The ``hpcobs`` command."""
