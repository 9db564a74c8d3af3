"""The ``metrics`` function: ``functions.metrics.handler.lambda_handler``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from hpcobs import bootstrap
from hpcobs.http.app import HttpApp
from hpcobs.http.negotiation import prefers_openmetrics
from hpcobs.http.replies import text_reply
from hpcobs.http.routing import current, new_router
from hpcobs.service.scrape import shard_of

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

    from hpcobs.http.request import Event

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TEXT = "application/openmetrics-text; version=1.0.0; charset=utf-8"

router = new_router()


@router.get("/metrics")
def scrape() -> Response[str]:
    """All metrics, or those of the groups named by ``collect[]``, or of one ``shard``."""
    request = current(router)
    openmetrics = prefers_openmetrics(request.headers.get("accept"))
    query = parse_qs(request.query, keep_blank_values=True)
    text = bootstrap.scrape().render(
        openmetrics=openmetrics,
        collect=frozenset(query.get("collect[]", ())),
        shard=shard_of(query.get("shard", ["0/1"])[-1]),
    )
    return text_reply(text, content_type=OPENMETRICS_TEXT if openmetrics else PROMETHEUS_TEXT)


app = HttpApp("metrics", router)


def lambda_handler(event: Event, context: Any) -> dict[str, Any]:
    """Answer a scrape."""
    return app.handle(event, context)
