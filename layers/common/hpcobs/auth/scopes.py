"""Scopes: the permissions that a token can carry."""

from __future__ import annotations

ADMIN = "admin"
"""The scope that implies all others."""

JOBS_READ = "jobs:read"
JOBS_WRITE = "jobs:write"
EVENTS_WRITE = "events:write"
SAMPLES_WRITE = "samples:write"
METRICS_READ = "metrics:read"

SCOPES = frozenset({ADMIN, JOBS_READ, JOBS_WRITE, EVENTS_WRITE, SAMPLES_WRITE, METRICS_READ})

NODE_SCOPES = (EVENTS_WRITE, SAMPLES_WRITE)
"""Scopes that a token bound to a node may use."""

USER_SCOPES = (JOBS_READ, JOBS_WRITE)
"""Scopes that a token bound to a user may use."""


def unknown_in(names: frozenset[str]) -> str | None:
    """Return a message that names the unknown scopes and the valid ones, or None if all exist."""
    unknown = ", ".join(sorted(names - SCOPES))
    return f"{unknown}: not a scope; there are {', '.join(sorted(SCOPES))}" if unknown else None
