"""Routes that tell of the service itself; they ask for no token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs import bootstrap
from hpcobs.http import documentation, views
from hpcobs.http.answers import JSON
from hpcobs.http.replies import json_reply, text_reply
from hpcobs.http.routing import new_router
from hpcobs.service.health import HealthStatus

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

router = new_router()


@router.get("/v1/health")
def health() -> Response[str]:
    """Whether the database and the queue answer; 503 if the service cannot work."""
    report = bootstrap.health().report()
    status = 503 if report.status is HealthStatus.UNHEALTHY else 200
    return json_reply(views.health(report), status=status)


@router.get("/v1/openapi.json")
def openapi() -> Response[str]:
    """The written contract."""
    return text_reply(documentation.contract_json(), content_type=JSON)


@router.get("/v1/docs")
def docs() -> Response[str]:
    """The contract as a page to read and to try."""
    html, policy = documentation.page()
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    return text_reply(html, content_type="text/html; charset=utf-8", headers=headers)
