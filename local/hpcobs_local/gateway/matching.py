"""Find the route of a request as API Gateway does: static paths before those with parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hpcobs.http.routes import DEFAULT_ROUTE, ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hpcobs.http.routes import Route

DEFAULT_FUNCTION = "api"


@dataclass(frozen=True, slots=True)
class Match:
    """The route's key and function, and the path's parameters. ``$default`` needs no scope."""

    route_key: str
    function: str
    scope: str | None
    parameters: Mapping[str, str]


class RouteTable:
    """Routes by method and by the segments of their path."""

    def __init__(self, routes: Sequence[Route] = ROUTES) -> None:
        # The sort is stable: among equal ones the order of the table counts.
        static_first = sorted(routes, key=lambda route: route.path.count("{"))
        self._routes = [(route, route.path.split("/")) for route in static_first]

    def match(self, method: str, raw_path: str) -> Match:
        """Return the route for a path that is still percent-encoded.

        The path is split before it is decoded: an escaped slash separates no segments.
        """
        segments = [unquote(segment) for segment in raw_path.split("/")]
        for route, pattern in self._routes:
            if route.method == method:
                parameters = _parameters(pattern, segments)
                if parameters is not None:
                    return Match(route.key, route.function, route.scope, parameters)
        return Match(DEFAULT_ROUTE, DEFAULT_FUNCTION, None, {})


def _parameters(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    found = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{") and segment:
            found[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return found
