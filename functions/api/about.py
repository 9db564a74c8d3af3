"""Routes about the service itself. They need no token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs import bootstrap
from hpcobs.http import serializers
from hpcobs.http.app import Handlers
from hpcobs.http.response import JSON, Response

if TYPE_CHECKING:
    from hpcobs.http.request import Request

handlers = Handlers("api")


@handlers.route("GET /v1/health")
def health(request: Request) -> Response:
    """Report whether the database and the queue respond: 503 if the service cannot work."""
    report = bootstrap.health().report()
    status = 503 if report.status == "unhealthy" else 200
    return Response.json(serializers.health(report), status=status)


@handlers.route("GET /v1/openapi.json")
def openapi(request: Request) -> Response:
    """Return the contract."""
    from hpcobs.http.documentation import contract_json  # few environments ever serve it

    return Response(200, contract_json(), {"Content-Type": JSON})


@handlers.route("GET /v1/docs")
def docs(request: Request) -> Response:
    """Return the contract as a page to read and to try."""
    from hpcobs.http.documentation import page

    html, policy = page()
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Content-Type": "text/html; charset=utf-8",
    }
    return Response(200, html, headers)
