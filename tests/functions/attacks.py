"""Bodies, tokens and marks that the attack tests share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hpcobs.auth.scopes import ADMIN
from tests.functions.gateway import token

if TYPE_CHECKING:
    from hpcobs.http.routes import Route

LEAKS = re.compile(
    r'Traceback|File "|\.py\b|psycopg|SELECT |INSERT |/site-packages|/home/|/var/task|jwt\.|Error:'
)
"""Text that no response may contain."""

MARK = "adas-own-work"
"""A text in ada's data, which no other user may read."""


def bearer(scope: str = ADMIN, **claims: Any) -> str:
    """Return the Authorization header of a site token."""
    return f"Bearer {token(scope, **claims)}"


def path_of(route: Route, **values: str) -> str:
    """Return a path that matches the route."""
    known = {"jobId": "1", "node": "n1", **values}
    return re.sub(r"\{(\w+)\}", lambda name: known[name[1]], route.path)


JOB: dict[str, Any] = {"user": "ada", "nodes": ["n1"], "start_time": "2026-11-02T08:00:00Z"}
SAMPLE = {"timestamp": "2026-11-02T08:01:00Z", "cpu_usage": 5, "memory_usage_mb": 5}
START = {
    "job_id": "500",
    "user": "ada",
    "node_list": ["n1"],
    "node": "n1",
    "timestamp": "2026-11-02T08:00:00Z",
    "name": MARK,
}
END = {"job_id": "500", "node": "n1", "final_state": "failed", "timestamp": START["timestamp"]}
N1 = bearer("events:write samples:write", node="n1")
"""A node's token."""
