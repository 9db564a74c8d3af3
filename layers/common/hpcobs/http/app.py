"""The one wrapper around every function behind the gateway.

It finds the route, authorises, unpacks, hands over to Powertools' resolver, and turns whatever
comes back, errors included, into an answer with its correlation id.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from hpcobs.domain.errors import DomainError, UnavailableError
from hpcobs.http.answers import Answer, for_gateway
from hpcobs.http.errors import InvalidRequestError, answer_to
from hpcobs.http.matching import resolved_path, route_of
from hpcobs.http.request import correlation_id_of, read_request
from hpcobs.http.routing import as_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.event_handler.api_gateway import Router

    from hpcobs.auth.networks import Networks
    from hpcobs.http.request import Event
    from hpcobs.http.routes import Route

TOO_LARGE = (
    "the answer is larger than a response may be (6 MB): ask for less by limit or a narrower time "
    "range, or accept gzip"
)


class HttpApp:
    """A function's routes, ready to answer API Gateway events.

    ``networks`` is asked at the first request, not when this is made; ``too_large`` is what a
    client is told whose answer does not fit into a response.
    """

    def __init__(
        self,
        function: str,
        *routers: Router,
        networks: Callable[[], Networks],
        too_large: str = TOO_LARGE,
    ) -> None:
        self._networks = networks
        self._too_large = too_large
        self._logger = Logger(service=f"hpcobs-{function}")
        self._resolver = APIGatewayHttpResolver()
        self._resolver.exception_handler(Exception)(_raise)
        for router in routers:
            self._resolver.include_router(router)

    def handle(self, event: Event, context: Any) -> dict[str, Any]:
        """The answer to one event, always in the contract's shape."""
        started = time.perf_counter()
        correlation_id = correlation_id_of(event)
        keys = {
            "correlation_id": correlation_id,
            "route": event["routeKey"],
            "subject": None,
            "refusal": None,
            "request_id": getattr(context, "aws_request_id", None),
        }
        with self._logger.append_context_keys(**keys):
            answer = self._answer(event, context, correlation_id)
            response = self._response(event, answer, correlation_id)
            self._logger.info(
                "answered",
                status=response["statusCode"],
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
            )
        return response

    def _answer(self, event: Event, context: Any, correlation_id: str) -> Answer:
        try:
            return self._resolved(event, context, correlation_id)
        except UnavailableError as error:
            self._logger.warning("unavailable: %s", error, exc_info=error.__cause__)
            return answer_to(error)
        except DomainError as error:
            self._logger.append_keys(refusal=str(error))
            return answer_to(error)
        except Exception as error:
            self._logger.exception("unexpected error")
            return answer_to(error)

    def _resolved(self, event: Event, context: Any, correlation_id: str) -> Answer:
        self._networks().admit(event["requestContext"]["http"].get("sourceIp", ""))
        route = route_of(event)
        request = read_request(event, route, correlation_id)
        self._logger.append_keys(subject=request.principal.subject)
        self._resolver.context.update(as_context(request))
        result = self._resolver.resolve(_unambiguous(event, route), context)
        return Answer(result["statusCode"], (result["body"] or "").encode(), result["headers"])

    def _response(self, event: Event, answer: Answer, correlation_id: str) -> dict[str, Any]:
        accept_encoding = (event.get("headers") or {}).get("accept-encoding")
        response = for_gateway(answer, accept_encoding=accept_encoding)
        if response is None:
            self._logger.append_keys(refusal=self._too_large)
            answer = answer_to(InvalidRequestError(self._too_large))
            return self._response(event, answer, correlation_id)
        response["headers"]["X-Correlation-Id"] = correlation_id
        return response


def _unambiguous(event: Event, route: Route) -> Event:
    """The event with the path, without a stage, that leads the resolver to ``route``."""
    request_context = {**event["requestContext"], "stage": "$default"}
    return {**event, "rawPath": resolved_path(event, route), "requestContext": request_context}


def _raise(error: Exception) -> NoReturn:
    """Let an error through to the wrapper; the resolver would log it in its own way."""
    raise error
