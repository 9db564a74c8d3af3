"""The ``metrics`` function: ``functions.metrics.handler.lambda_handler``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from hpcobs import bootstrap
from hpcobs.domain.errors import InvalidInputError
from hpcobs.http.app import Handlers, HttpApp
from hpcobs.http.response import OPENMETRICS, Response, prefers_openmetrics
from hpcobs.ports.scrape import WHOLE
from hpcobs.service.scrape import shard_of

if TYPE_CHECKING:
    from hpcobs.http.request import Event, Request
    from hpcobs.ports.scrape import Shard

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TEXT = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
TOO_LARGE = (
    "the scrape is larger than the limit (6 MB, packed): accept gzip, and scrape in shards "
    "(?shard=0/4 to ?shard=3/4) or by groups (?collect[]=jobs)"
)

handlers = Handlers("metrics")


@handlers.route("GET /metrics")
def scrape(request: Request) -> Response:
    """Return all metrics, or the groups named by ``collect[]``, or one ``shard`` of them."""
    openmetrics = prefers_openmetrics(request.headers.get("accept"))
    groups, shard = _selection(request.query)
    text = bootstrap.scrape().render(openmetrics=openmetrics, collect=groups, shard=shard)
    content_type = OPENMETRICS_TEXT if openmetrics else PROMETHEUS_TEXT
    return Response(200, text.encode(), {"Content-Type": content_type})


def _selection(query: str) -> tuple[frozenset[str], Shard]:
    """Parse groups and shard. Reject unknown parameters: a typing error must not select all."""
    # Without pydantic, which no other part of this function imports: its cold start is shorter.
    given = parse_qs(query, keep_blank_values=True)
    groups, shards = given.pop("collect[]", []), given.pop("shard", [])
    if given:
        raise InvalidInputError(min(given)[:255], "is not a known parameter")
    if len(shards) > 1:
        raise InvalidInputError("shard", "is given more than once")
    return frozenset(groups), shard_of(shards[0]) if shards else WHOLE


app = HttpApp("metrics", handlers, networks=bootstrap.networks, too_large=TOO_LARGE)
bootstrap.before_snapshot(bootstrap.scrape, bootstrap.networks)


def lambda_handler(event: Event, context: Any) -> dict[str, Any]:
    """Respond to a scrape."""
    return app.handle(event, context)
