"""One result of a check."""

from __future__ import annotations

from typing import NamedTuple

OK, WARNING, FAILURE = "ok", "warn", "FAIL"


class Finding(NamedTuple):
    """A check's result: its level, the fact and its place, and what to do about it."""

    level: str
    text: str
    fix: str = ""


def ok(text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(OK, text)


def warning(text: str, fix: str) -> Finding:
    """Return a finding of something that works, but not fully."""
    return Finding(WARNING, text, fix)


def failure(text: str, fix: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(FAILURE, text, fix)
