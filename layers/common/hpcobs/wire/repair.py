"""Read JSON that its sender damaged, so that one bad byte costs itself and not the whole body.

Names that users give their jobs may have any bytes, and Slurm, hooks and drivers copy them.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
NOT_FINITE = "must be a finite number: JSON has no NaN and no Infinity"
_UNFIT = re.compile("[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL cannot store, and halves of surrogate pairs, which UTF-8 cannot encode."""
_NUL = b"\\u0000"
_LONGEST_PLACE = 255

_Place = tuple["_Place | None", str, Any]
"""The place around it, its own name with a dot or its number in brackets, and its value."""


def has_nul(body: bytes) -> bool:
    """Return whether a text may hold NUL, which JSON allows and PostgreSQL does not."""
    return _NUL in body


def repaired(body: bytes) -> bytes | None:
    """Return the body as JSON in UTF-8 without unfit characters, or None if it is no JSON.

    Bytes that are not UTF-8, halves of surrogate pairs and NUL become U+FFFD. Control characters
    without an escape get one. Of fields with one name, the last stays.
    """
    try:
        return json.dumps(loads(body), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None


def loads(body: bytes) -> Any:
    """Return the value of a body, with its texts repaired.

    ``NaN`` and ``Infinity``, which are no JSON, become floats, and so do integers of hundreds of
    digits. Raise ValueError if the body is no JSON otherwise, RecursionError if it is too deep.
    """
    text = body.decode(errors="replace")
    return _clean(json.loads(text, strict=False, parse_int=_integer))


def not_finite_in(body: bytes) -> str | None:
    """Return the place of the first number that is not finite, or None, as in ``not_finite``."""
    try:
        return not_finite(loads(body))
    except (ValueError, RecursionError):
        return None


def not_finite(value: Any) -> str | None:
    """Return the place of the first number that is not finite, such as ``gpus[0].power_watts``.

    It is an empty text if the value is such a number itself, and None if there is none.
    """
    # A place is linked to the one around it. Written out for each value, the places of a hostile
    # body would take its size squared.
    left: list[_Place] = [(None, "", value)]
    while left:
        place = left.pop()
        item = place[2]
        if isinstance(item, float) and not math.isfinite(item):
            return _written(place)
        if isinstance(item, dict):
            left += [(place, f".{key}", part) for key, part in reversed(item.items())]
        elif isinstance(item, list):
            numbered = reversed([*enumerate(item)])
            left += [(place, f"[{number}]", part) for number, part in numbered]
    return None


def _written(place: _Place | None) -> str:
    parts = []
    while place is not None:
        parts.append(place[1])
        place = place[0]
    return "".join(reversed(parts)).lstrip(".")[:_LONGEST_PLACE]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _UNFIT.sub(REPLACEMENT, value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _integer(digits: str) -> int | float:
    # Python refuses to parse more than 4,300 digits. As a float it is infinite, which is not JSON.
    return int(digits) if len(digits) <= 40 else float(digits)  # noqa: PLR2004 - beyond 128 bits
