"""What a token can allow."""

from __future__ import annotations

ADMIN = "admin"
"""The scope that implies all others."""

JOBS_READ = "jobs:read"
JOBS_WRITE = "jobs:write"
EVENTS_WRITE = "events:write"
SAMPLES_WRITE = "samples:write"
METRICS_READ = "metrics:read"

SCOPES = frozenset({ADMIN, JOBS_READ, JOBS_WRITE, EVENTS_WRITE, SAMPLES_WRITE, METRICS_READ})


def unknown_in(names: frozenset[str]) -> str | None:
    """What is wrong with a set of scopes, in words that tell which there are; None if nothing."""
    unknown = ", ".join(sorted(names - SCOPES))
    return f"{unknown}: not a scope; there are {', '.join(sorted(SCOPES))}" if unknown else None
