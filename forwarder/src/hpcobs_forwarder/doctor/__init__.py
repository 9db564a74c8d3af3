"""``hpcobs-forwarder doctor``: what the forwarder sees, what is missing, and how to mend it."""

from hpcobs_forwarder.doctor.report import report

__all__ = ["report"]
