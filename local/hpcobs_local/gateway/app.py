"""The gateway as an ASGI application: match, authorise, read, invoke, respond, log."""

from __future__ import annotations

import asyncio
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from hpcobs.http.request import correlation_id_of
from hpcobs_local.environment import InvocationError, TimedOutError
from hpcobs_local.gateway import responses
from hpcobs_local.gateway.authorization import Authorization, DeniedError, NoTokenError
from hpcobs_local.gateway.events import proxy_event
from hpcobs_local.gateway.matching import RouteTable
from hpcobs_local.gateway.requests import (
    BODY_SECONDS,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    BodyTooLargeError,
    ClientGoneError,
    HeadTooLargeError,
    discard_rest,
    from_scope,
    read_body,
)
from hpcobs_local.gateway.responses import InvalidResponseError
from hpcobs_local.runtime import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs_local.functions import Functions
    from hpcobs_local.gateway.matching import Match
    from hpcobs_local.gateway.requests import Receive, Request, Scope, Send
    from hpcobs_local.gateway.responses import Response

logger = logging.getLogger(__name__)

# A client that no longer reads must not hold one of the server's connections for longer.
SEND_SECONDS = 60.0

ERRORS: dict[type[Exception], Callable[[], Response]] = {
    HeadTooLargeError: lambda: responses.head_too_large(MAX_HEAD_BYTES),
    NoTokenError: responses.unauthorized,
    DeniedError: responses.forbidden,
    BodyTooLargeError: lambda: responses.too_large(MAX_BODY_BYTES),
    TimeoutError: lambda: responses.too_slow(BODY_SECONDS),
    BusyError: responses.too_busy,
    TimedOutError: responses.unavailable,
    InvocationError: responses.internal_error,
    InvalidResponseError: responses.internal_error,
}
"""The gateway's own responses. The first entry that fits counts: a base class comes later."""


class Gateway:
    """Serves HTTP requests by the functions of the route table.

    ``log`` gets a line per request. A function is invoked after the whole request has been read,
    and its environment is free again before the response is sent. So slow clients block no others.
    """

    def __init__(
        self,
        functions: Functions,
        log: Callable[[str], None],
        routes: RouteTable | None = None,
    ) -> None:
        self._functions = functions
        self._log = log
        self._routes = routes or RouteTable()
        self._authorization = Authorization(functions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and log it."""
        request = from_scope(scope)
        match = self._routes.match(request.method, request.raw_path)
        started = time.perf_counter()
        try:
            response = await self._respond(request, match, receive)
            async with asyncio.timeout(SEND_SECONDS):
                await _send(response, request, receive, send)
        except (ClientGoneError, TimeoutError):
            self._log(_line(request, match, "gone", 0, started))
        else:
            self._log(_line(request, match, str(response.status), len(response.body), started))

    async def _respond(self, request: Request, match: Match, receive: Receive) -> Response:
        try:
            request.check_head()
            context = await self._authorization.context(request, match)
            body = await read_body(request, receive)
            event = proxy_event(request, match, body, context)
            return responses.from_function(await self._functions.invoke(match.function, event))
        except tuple(ERRORS) as error:
            response = next(make() for kind, make in ERRORS.items() if isinstance(error, kind))
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.warning("%s (request %s)", error, request.id)
            return response


async def _send(response: Response, request: Request, receive: Receive, send: Send) -> None:
    # On AWS, API Gateway's own errors have no correlation id. Here every response has one.
    correlation_id = correlation_id_of({"headers": request.headers})
    headers = response.raw_headers(request.id, correlation_id=correlation_id)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.close:
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        await discard_rest(receive)
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": response.body})


def _line(request: Request, match: Match, status: str, size: int, started: float) -> str:
    """Format a line of the access log, without query and headers, which may hold secrets."""
    duration_ms = (time.perf_counter() - started) * 1000
    return (
        f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(request.received_at))}"
        f" {request.source_ip} {request.method} {request.raw_path!a} {status}"
        f" {size} B {duration_ms:.1f} ms {match.function} {request.id}"
    )
