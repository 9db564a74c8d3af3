"""A child process that must not outlive its parent, however the parent dies."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""See prctl(2)."""

PARENT_PID = "HPCOBS_PARENT_PID"
"""Tells a child whose it is, since its parent may be gone before the child has looked."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere it does nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def is_orphan() -> bool:
    """Whether the process that PARENT_PID names is no longer the parent of this one."""
    parent = os.environ.get(PARENT_PID)
    return parent is not None and os.getppid() != int(parent)
