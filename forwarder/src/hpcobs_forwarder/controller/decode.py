"""Decode Slurm's JSON, so that one bad byte or number costs only the value that it is in."""

from __future__ import annotations

import json
from typing import Any

_LONGEST_INTEGER = 20
"""Digits of the largest number in 64 bits."""


def decoded(body: bytes) -> Any:
    """Return the decoded JSON. Raise ValueError if it is none, or is cut off.

    Bytes that are not UTF-8 become U+FFFD. A number of too many digits becomes None.
    """
    # A user may give a job any bytes as its name or comment, and Slurm copies them.
    document = body.decode("utf-8", errors="replace")
    # Raw control characters occur in texts that Slurm did not escape.
    try:
        try:
            return json.loads(document, strict=False)
        except json.JSONDecodeError:
            raise
        except ValueError:  # Python refuses integers of more than 4,300 digits
            return json.loads(document, strict=False, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None
