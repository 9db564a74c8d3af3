"""The ``api`` function: ``functions.api.handler.lambda_handler``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from functions.api import about, jobs, series
from hpcobs import bootstrap
from hpcobs.http.app import HttpApp

if TYPE_CHECKING:
    from hpcobs.http.request import Event

app = HttpApp("api", about.handlers, jobs.handlers, series.handlers, networks=bootstrap.networks)
bootstrap.before_snapshot(bootstrap.jobs, bootstrap.health, bootstrap.networks)


def lambda_handler(event: Event, context: Any) -> dict[str, Any]:
    """Respond to requests for jobs and the contract, and to those that match no route."""
    return app.handle(event, context)
