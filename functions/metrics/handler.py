"""The ``metrics`` function: ``functions.metrics.handler.lambda_handler``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from hpcobs import bootstrap
from hpcobs.domain.errors import InvalidInputError
from hpcobs.http.app import HttpApp
from hpcobs.http.negotiation import prefers_openmetrics
from hpcobs.http.replies import text_reply
from hpcobs.http.routing import current, new_router
from hpcobs.ports.scrape import WHOLE
from hpcobs.service.scrape import shard_of

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

    from hpcobs.http.request import Event
    from hpcobs.ports.scrape import Shard

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TEXT = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TOO_LARGE = (
    "the scrape is larger than a response may be (6 MB, packed): accept gzip, and scrape in shards "
    "(?shard=0/4 to ?shard=3/4) or by groups (?collect[]=jobs)"
)

router = new_router()


@router.get("/metrics")
def scrape() -> Response[str]:
    """All metrics, or those of the groups named by ``collect[]``, or of one ``shard``."""
    request = current(router)
    openmetrics = prefers_openmetrics(request.headers.get("accept"))
    groups, shard = _asked(request.query)
    text = bootstrap.scrape().render(openmetrics=openmetrics, collect=groups, shard=shard)
    return text_reply(text, content_type=OPENMETRICS_TEXT if openmetrics else PROMETHEUS_TEXT)


def _asked(query: str) -> tuple[frozenset[str], Shard]:
    """Groups and shard; a parameter that is not known would be a wish that is not heard."""
    given = parse_qs(query, keep_blank_values=True)
    groups, shards = given.pop("collect[]", []), given.pop("shard", [])
    if given:
        raise InvalidInputError(min(given)[:255], "is not a known parameter")
    if len(shards) > 1:
        raise InvalidInputError("shard", "is given more than once")
    return frozenset(groups), shard_of(shards[0]) if shards else WHOLE


app = HttpApp("metrics", router, networks=bootstrap.networks, too_large=TOO_LARGE)
bootstrap.before_snapshot(bootstrap.scrape, bootstrap.networks)


def lambda_handler(event: Event, context: Any) -> dict[str, Any]:
    """Answer a scrape."""
    return app.handle(event, context)
