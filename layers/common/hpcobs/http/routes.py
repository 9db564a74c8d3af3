"""The table of routes: which function handles each, and which scope a token needs for it.

The local gateway, the authorisation check and the CDK app all read this table. A test keeps it
equal to ``openapi.yaml``, another proves that each route has its handler.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpcobs.auth.scopes import (
    EVENTS_WRITE,
    JOBS_READ,
    JOBS_WRITE,
    METRICS_READ,
    SAMPLES_WRITE,
)


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the contract. ``scope`` is None where no token is needed.

    ``takes_query`` marks a route that reads query parameters. Other routes reject all of them.
    """

    method: str
    path: str
    function: str
    scope: str | None
    takes_query: bool = False

    @property
    def key(self) -> str:
        """The route key as API Gateway writes it: ``GET /v1/jobs/{jobId}``."""
        return f"{self.method} {self.path}"


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/health", "api", None),
    Route("GET", "/v1/openapi.json", "api", None),
    Route("GET", "/v1/docs", "api", None),
    Route("GET", "/v1/jobs", "api", JOBS_READ, takes_query=True),
    Route("POST", "/v1/jobs", "api", JOBS_WRITE),
    Route("GET", "/v1/jobs/{jobId}", "api", JOBS_READ),
    Route("PATCH", "/v1/jobs/{jobId}", "api", JOBS_WRITE),
    Route("DELETE", "/v1/jobs/{jobId}", "api", JOBS_WRITE),
    Route("GET", "/v1/jobs/{jobId}/metrics", "api", JOBS_READ, takes_query=True),
    Route("POST", "/v1/jobs/{jobId}/metrics", "api", JOBS_WRITE),
    Route("GET", "/v1/jobs/{jobId}/gpus", "api", JOBS_READ, takes_query=True),
    Route("GET", "/v1/jobs/{jobId}/audit", "api", JOBS_READ),
    Route("POST", "/v1/events/job-started", "events", EVENTS_WRITE),
    Route("POST", "/v1/events/job-finished", "events", EVENTS_WRITE),
    Route("POST", "/v1/events/jobs", "events", EVENTS_WRITE),
    Route("POST", "/v1/samples", "ingest", SAMPLES_WRITE),
    Route("GET", "/metrics", "metrics", METRICS_READ, takes_query=True),
)

BY_KEY = {route.key: route for route in ROUTES}

DEFAULT_ROUTE = "$default"
"""Requests that match no route go to ``api``, which returns 404 or 405 in the contract's shape."""
