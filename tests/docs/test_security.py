"""docs/security.md lists the access to each route as the service decides it."""

from __future__ import annotations

import re
from pathlib import Path

from hpcobs.auth.scopes import NODE_SCOPES, USER_SCOPES
from hpcobs.http.routes import ROUTES, Route

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
CONTROLLERS = "POST /v1/events/jobs"


def _of_a_node(route: Route) -> str:
    if route.scope is None:
        return "open"
    return "its own" if route.scope in NODE_SCOPES and route.key != CONTROLLERS else "no"


def _of_a_user(route: Route) -> str:
    if route.scope is None:
        return "open"
    return "their own" if route.scope in USER_SCOPES else "no"


def test_access_table_matches_service() -> None:
    expected = [
        f"| `{route.key}` | {f'`{route.scope}`' if route.scope else 'none'} "
        f"| {_of_a_node(route)} | {_of_a_user(route)} |"
        for route in ROUTES
    ]
    listed = re.findall(r"^\| `[A-Z]+ /.*$", PAGE.read_text(), re.MULTILINE)
    assert listed == expected, "docs/security.md should have:\n" + "\n".join(expected)
