"""The gateway as an ASGI application: match, authorise, read, invoke, answer, log."""

from __future__ import annotations

import asyncio
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from hpcobs.http.request import correlation_id_of
from hpcobs_local.environments import InvocationError, TimedOutError
from hpcobs_local.gateway import answers
from hpcobs_local.gateway.answers import NoAnswerError
from hpcobs_local.gateway.authorization import Authorization, DeniedError, NoTokenError
from hpcobs_local.gateway.bodies import (
    BODY_SECONDS,
    MAX_BODY_BYTES,
    BodyTooLargeError,
    ClientGoneError,
    linger,
    read_body,
)
from hpcobs_local.gateway.events import proxy_event
from hpcobs_local.gateway.matching import RouteTable
from hpcobs_local.gateway.requests import from_scope
from hpcobs_local.runtime import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs_local.functions import Functions
    from hpcobs_local.gateway.answers import Answer
    from hpcobs_local.gateway.asgi import Receive, Scope, Send
    from hpcobs_local.gateway.matching import Match
    from hpcobs_local.gateway.requests import Request

logger = logging.getLogger(__name__)

SEND_SECONDS = 60.0
MAX_HEAD_BYTES = 10_240
"""API Gateway's own limit of a request line and its headers together."""


class HeadTooLargeError(Exception):
    """The request line and the headers are larger than MAX_HEAD_BYTES."""


REFUSALS: dict[type[Exception], Callable[[], Answer]] = {
    HeadTooLargeError: lambda: answers.head_too_large(MAX_HEAD_BYTES),
    NoTokenError: answers.unauthorized,
    DeniedError: answers.forbidden,
    BodyTooLargeError: lambda: answers.too_large(MAX_BODY_BYTES),
    TimeoutError: lambda: answers.too_slow(BODY_SECONDS),
    BusyError: answers.too_busy,
    TimedOutError: answers.unavailable,
    InvocationError: answers.internal_error,
    NoAnswerError: answers.internal_error,
}
"""What the gateway answers by itself; of several that fit the first counts."""


class Gateway:
    """Answers HTTP requests with the functions of the route table.

    ``log`` gets a line per request. A function's environment is taken only once the whole request
    has come, and given back before the answer goes out: slow clients hold up nobody.
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
        """Answer one request."""
        request = from_scope(scope)
        match = self._routes.match(request.method, request.raw_path)
        started = time.perf_counter()
        try:
            answer = await self._answer(request, match, receive)
            async with asyncio.timeout(SEND_SECONDS):
                await _send(answer, request, receive, send)
        except (ClientGoneError, TimeoutError):
            self._log(_line(request, match, "gone", 0, started))
        else:
            self._log(_line(request, match, str(answer.status), len(answer.body), started))

    async def _answer(self, request: Request, match: Match, receive: Receive) -> Answer:
        try:
            if request.head_bytes > MAX_HEAD_BYTES:
                raise HeadTooLargeError
            context = await self._authorization.context(request, match)
            body = await read_body(request, receive)
            event = proxy_event(request, match, body, context)
            return answers.from_function(await self._functions.invoke(match.function, event))
        except tuple(REFUSALS) as error:
            answer = next(make() for kind, make in REFUSALS.items() if isinstance(error, kind))
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.warning("%s (request %s)", error, request.id)
            return answer


async def _send(answer: Answer, request: Request, receive: Receive, send: Send) -> None:
    # What API Gateway says by itself has none on AWS; here every answer can be told apart.
    correlation_id = correlation_id_of({"headers": request.headers})
    headers = answer.raw_headers(request.id, correlation_id=correlation_id)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.close:
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        await linger(receive)
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": answer.body})


def _line(request: Request, match: Match, status: str, size: int, started: float) -> str:
    """Who asked for what, and how it went; no queries and headers, which may hold secrets."""
    duration_ms = (time.perf_counter() - started) * 1000
    return (
        f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(request.received_at))}"
        f" {request.source_ip} {request.method} {request.raw_path!a} {status}"
        f" {size} B {duration_ms:.1f} ms {match.function} {request.id}"
    )
