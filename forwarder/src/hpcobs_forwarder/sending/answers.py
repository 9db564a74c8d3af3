"""What is to be read from the site's answers."""

from __future__ import annotations

import json
from typing import Any


def is_a_sites(body: bytes) -> bool:
    """Whether hpcobs can have answered this, and not some page for whoever comes by."""
    return not _answer(body).keys().isdisjoint({"status", "results"})


def objects(body: bytes, key: str) -> list[str]:
    """The objects listed under ``key``, as text; none if there are none."""
    listed = _answer(body).get(key)
    return [json.dumps(one) for one in listed] if isinstance(listed, list) else []


def number(body: bytes, key: str, otherwise: int) -> int:
    """The number under ``key``, ``otherwise`` if there is none."""
    found = _answer(body).get(key)
    return found if isinstance(found, int) else otherwise


def text(body: bytes) -> str:
    """The beginning of an answer, fit for a line of log."""
    return body[:300].decode("utf-8", errors="replace").replace("\n", " ")


def _answer(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
