"""The ``ingest`` function: ``functions.ingest.handler.lambda_handler``. It needs no database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs import bootstrap
from hpcobs.http.app import Handlers, HttpApp
from hpcobs.http.response import Response

if TYPE_CHECKING:
    from hpcobs.http.request import Event, Request

handlers = Handlers("ingest")


@handlers.route("POST /v1/samples")
def accept_samples(request: Request) -> Response:
    """Put a node's batch on the queue. A 202 means that the queue has stored it."""
    principal = request.principal
    cluster = principal.bound_cluster(bootstrap.settings().cluster_name)
    accepted = bootstrap.ingestion().accept(
        request.body, principal_node=principal.node, principal_cluster=cluster
    )
    rejected = [
        {"position": sample.position, "message": sample.reason} for sample in accepted.rejected
    ]
    body: dict[str, Any] = {
        "status": "queued",
        "batch_id": accepted.batch_id,
        "accepted": accepted.accepted,
        "rejected": rejected,
    }
    if accepted.host_fault is not None:
        body["rejected_host"] = accepted.host_fault
    return Response.json(body, status=202)


app = HttpApp("ingest", handlers, networks=bootstrap.networks)
bootstrap.before_snapshot(bootstrap.ingestion, bootstrap.networks)


def lambda_handler(event: Event, context: Any) -> dict[str, Any]:
    """Respond to a request with a batch of samples."""
    return app.handle(event, context)
