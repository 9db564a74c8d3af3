"""The ``ingest`` function: ``functions.ingest.handler.lambda_handler``. It needs no database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs import bootstrap
from hpcobs.http import views
from hpcobs.http.app import HttpApp
from hpcobs.http.replies import json_reply
from hpcobs.http.routing import current, new_router

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

    from hpcobs.http.request import Event

router = new_router()


@router.post("/v1/samples")
def take_samples() -> Response[str]:
    """Put a node's batch on the queue; it is safe once this has answered."""
    request = current(router)
    accepted = bootstrap.ingestion().accept(request.body, principal_node=request.principal.node)
    return json_reply(views.accepted(accepted), status=202)


app = HttpApp("ingest", router, networks=bootstrap.networks)
bootstrap.before_snapshot(bootstrap.ingestion, bootstrap.networks)


def lambda_handler(event: Event, context: Any) -> dict[str, Any]:
    """Take in a batch of samples."""
    return app.handle(event, context)
