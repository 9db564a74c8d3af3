"""The one wrapper around every function behind the gateway.

It looks the handler up by the event's route key, authorises the caller, unpacks the body, calls the
handler, and turns the result, errors included, into a response with its correlation id.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from hpcobs.auth.principal import ANONYMOUS, VERDICT_SECONDS, Principal
from hpcobs.auth.scopes import NODE_SCOPES, USER_SCOPES
from hpcobs.domain.errors import (
    DomainError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)
from hpcobs.http.errors import InvalidRequestError, MethodNotAllowedError, response_to
from hpcobs.http.request import correlation_id_of, read_request
from hpcobs.http.response import for_gateway
from hpcobs.http.routes import BY_KEY, ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpcobs.auth.networks import Networks
    from hpcobs.http.request import Event, Request
    from hpcobs.http.response import Response
    from hpcobs.http.routes import Route

    Handler = Callable[[Request], Response]

TOO_LARGE = (
    "the response is larger than the limit (6 MB): request less by limit or a narrower time range, "
    "or accept gzip"
)

_PARAMETER = re.compile(r"\{\w+\}")


class RouteError(Exception):
    """A handler does not fit the table of routes. The import of its function fails."""


class Handlers:
    """The handlers of one function, or of one of its modules, by route key."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._by_key: dict[str, tuple[Route, Handler]] = {}

    def __iter__(self) -> Iterator[tuple[str, Handler]]:
        """Iterate over the route keys, each with its handler."""
        return iter([(key, handler) for key, (_, handler) in self._by_key.items()])

    def route(self, key: str) -> Callable[[Handler], Handler]:
        """Register the decorated function for a route key such as ``GET /v1/jobs/{jobId}``.

        Raise RouteError if the table has no such route, if the table names another function for it,
        or if it has a handler already.
        """

        def register(handler: Handler) -> Handler:
            self._add(key, handler)
            return handler

        return register

    def include(self, others: Handlers) -> None:
        """Add the handlers of a module. Raise RouteError as ``route`` does."""
        for key, handler in others:
            self._add(key, handler)

    def find(self, event: Event) -> tuple[Route, Handler]:
        """Return the route that the gateway matched, and its handler.

        Raise NotFoundError or MethodNotAllowedError if there is none. Only routes of the table have
        a handler, whatever routes the gateway is configured with.
        """
        found = self._by_key.get(event["routeKey"])
        if found is None:
            raise _no_route(event)
        return found

    def _add(self, key: str, handler: Handler) -> None:
        route = BY_KEY.get(key)
        if route is None:
            raise RouteError(f"{key} is not in the table of routes")
        if route.function != self._function:
            raise RouteError(f"{key} is a route of {route.function}, not of {self._function}")
        if key in self._by_key:
            raise RouteError(f"{key} has a handler already")
        self._by_key[key] = route, handler


class HttpApp:
    """A function's handlers behind API Gateway.

    ``networks`` is called at the first request, not when the app is made. ``too_large`` is the
    message for a client whose response is larger than the limit.
    """

    def __init__(
        self,
        function: str,
        *handlers: Handlers,
        networks: Callable[[], Networks | None],
        too_large: str = TOO_LARGE,
    ) -> None:
        self.handlers = Handlers(function)
        for module in handlers:
            self.handlers.include(module)
        self._networks = networks
        self._too_large = too_large
        self._logger = Logger(service=f"hpcobs-{function}")

    def handle(self, event: Event, context: Any) -> dict[str, Any]:
        """Return the response to one event, always in the contract's shape. Log one line."""
        started = time.perf_counter()
        correlation_id = correlation_id_of(event)
        # A warm environment must not log the last request's subject or reason: None clears both.
        keys = {
            "correlation_id": correlation_id,
            "route": event["routeKey"],
            "subject": None,
            "refusal": None,
            "request_id": getattr(context, "aws_request_id", None),
        }
        with self._logger.append_context_keys(**keys):
            response = self._respond(event, correlation_id)
            envelope = self._envelope(event, response, correlation_id)
            self._logger.info(
                "responded",
                status=envelope["statusCode"],
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
            )
        return envelope

    def _respond(self, event: Event, correlation_id: str) -> Response:
        try:
            return self._dispatch(event, correlation_id)
        except UnavailableError as error:
            self._logger.warning("unavailable: %s", error, exc_info=error.__cause__)
            return response_to(error)
        except DomainError as error:
            self._logger.append_keys(refusal=str(error))
            return response_to(error)
        except Exception as error:
            # The last barrier: the client gets a plain 500, the log the traceback.
            self._logger.exception("unexpected error")
            return response_to(error)

    def _dispatch(self, event: Event, correlation_id: str) -> Response:
        # The order matters: a caller from elsewhere does not learn which routes exist, and no body
        # is unpacked for a caller without the scope.
        networks = self._networks()
        if networks is not None:
            networks.admit(event["requestContext"]["http"].get("sourceIp", ""))
        route, handler = self.handlers.find(event)
        principal = authorised(event, route)
        request = read_request(event, route, principal, correlation_id=correlation_id)
        self._logger.append_keys(subject=principal.subject)
        return handler(request)

    def _envelope(self, event: Event, response: Response, correlation_id: str) -> dict[str, Any]:
        accept_encoding = (event.get("headers") or {}).get("accept-encoding")
        envelope = for_gateway(response, accept_encoding=accept_encoding)
        if envelope is None:
            # The body of this error is small, so the second call is the last one.
            self._logger.append_keys(refusal=self._too_large)
            response = response_to(InvalidRequestError(self._too_large))
            return self._envelope(event, response, correlation_id)
        envelope["headers"]["X-Correlation-Id"] = correlation_id
        return envelope


def authorised(event: Event, route: Route) -> Principal:
    """Return the caller. Raise UnauthorizedError or ForbiddenError if the route is closed to it."""
    if route.scope is None:
        return ANONYMOUS
    principal = _authenticated(event)
    if not principal.allows(route.scope):
        raise ForbiddenError(f"the token lacks the scope {route.scope}")
    # The two limits hold for administrators' tokens too: a token bound to a node never reads.
    if principal.node is not None and route.scope not in NODE_SCOPES:
        raise ForbiddenError("a node's token may only send that node's events and samples")
    if principal.user is not None and route.scope not in USER_SCOPES:
        raise ForbiddenError("a user's token may only see and change that user's jobs")
    return principal


def _authenticated(event: Event) -> Principal:
    """Return the principal that the authorizer found."""
    authorizer = event["requestContext"].get("authorizer") or {}
    context = authorizer.get("lambda") or {}
    if context.get("unavailable"):
        # The gateway caches this verdict too: an earlier retry would get the same one.
        raise UnavailableError(str(context["unavailable"]), retry_after_seconds=VERDICT_SECONDS)
    if context.get("error") or not context.get("subject"):
        raise UnauthorizedError(str(context.get("error") or "a token is needed"))
    principal = Principal.from_context(context)
    # The gateway caches verdicts, so the token may have expired since the authorizer saw it.
    if principal.expires_at is not None and principal.expires_at < time.time():
        raise UnauthorizedError("the token has expired")
    return principal


def _no_route(event: Event) -> DomainError:
    """Return the error for an event that matches no route: a wrong method, or no such path."""
    method = event["requestContext"]["http"]["method"]
    path = _path_without_stage(event)
    allowed = [route.method for route in ROUTES if _pattern(route).fullmatch(path)]
    # An allowed method means a route of another function, which does not exist here.
    if allowed and method not in allowed:
        return MethodNotAllowedError(method, allowed)
    return NotFoundError("there is nothing at this path")


def _path_without_stage(event: Event) -> str:
    # A named stage, unlike $default, is the first segment of rawPath.
    stage = event["requestContext"].get("stage", "$default")
    path: str = event["rawPath"]
    return path.removeprefix(f"/{stage}") if stage != "$default" else path


def _pattern(route: Route) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(route.path))))
