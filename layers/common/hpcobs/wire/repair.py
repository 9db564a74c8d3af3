"""Repair the texts of a JSON body, so that one bad byte costs itself and not the whole body.

Names that users give their jobs may have any bytes, and Slurm, hooks and drivers copy them.
"""

from __future__ import annotations

import json
import re
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNFIT = re.compile("[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL cannot store, and halves of surrogate pairs, which UTF-8 cannot encode."""
_NUL = b"\\u0000"


def has_nul(body: bytes) -> bool:
    """Return whether a text may hold NUL, which JSON allows and PostgreSQL does not."""
    return _NUL in body


def repaired(body: bytes) -> bytes | None:
    """Return the body as JSON in UTF-8 without unfit characters, or None if it is no JSON.

    Bytes that are not UTF-8, halves of surrogate pairs and NUL become U+FFFD. Control characters
    without an escape get one.
    """
    try:
        found = json.loads(
            body.decode(errors="replace"), strict=False, parse_constant=_no_json, parse_int=_integer
        )
        return json.dumps(_clean(found), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _UNFIT.sub(REPLACEMENT, value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _integer(digits: str) -> int | float:
    # Python refuses to parse more than 4,300 digits. As a float it is infinite, which is not JSON.
    return int(digits) if len(digits) <= 40 else float(digits)  # noqa: PLR2004 - beyond 128 bits
