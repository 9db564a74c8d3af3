"""One thing the doctor has to say."""

from __future__ import annotations

from typing import NamedTuple

OK, WARNING, FAILURE = "ok", "warn", "FAIL"


class Finding(NamedTuple):
    """What was found, how bad it is, and how to mend it."""

    level: str
    text: str
    mend: str = ""


def ok(text: str) -> Finding:
    """All is well."""
    return Finding(OK, text)


def warning(text: str, mend: str) -> Finding:
    """It works, but not as well as it could."""
    return Finding(WARNING, text, mend)


def failure(text: str, mend: str) -> Finding:
    """It cannot work."""
    return Finding(FAILURE, text, mend)
