"""docs/api.md lists every route with its scope, and every error that a client may receive."""

from __future__ import annotations

import re
from pathlib import Path

from hpcobs.http.errors import STATUS_AND_CODE
from hpcobs.http.routes import ROUTES

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
OF_THE_GATEWAY = {(429, "too_many_requests"), (500, "internal_error")}


def test_errors_are_listed_with_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    listed = [(int(status), code) for status, code in rows]
    assert sorted(listed) == sorted({*STATUS_AND_CODE.values()} | OF_THE_GATEWAY)


def test_routes_are_listed_with_scope() -> None:
    listed = re.findall(r"^\| `([A-Z]+ /\S+)` \| `?([\w:]+)`? \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted((route.key, route.scope or "none") for route in ROUTES)
