"""The ``events`` function: ``functions.events.handler.lambda_handler``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from functions.events import controller, hooks
from hpcobs import bootstrap
from hpcobs.http.app import HttpApp

if TYPE_CHECKING:
    from hpcobs.http.request import Event

app = HttpApp("events", hooks.router, controller.router, networks=bootstrap.networks)
bootstrap.before_snapshot(bootstrap.job_events, bootstrap.networks)


def lambda_handler(event: Event, context: Any) -> dict[str, Any]:
    """Take in what the cluster tells of its jobs."""
    return app.handle(event, context)
