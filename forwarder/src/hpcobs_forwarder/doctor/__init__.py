"""``hpcobs-forwarder doctor``: check a host, and print how to fix it."""

from hpcobs_forwarder.doctor.report import report

__all__ = ["report"]
