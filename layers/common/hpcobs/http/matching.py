"""Which route of the table an event is for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hpcobs.domain.errors import InvalidInputError, NotFoundError
from hpcobs.http.errors import MethodNotAllowedError
from hpcobs.http.routes import BY_KEY, ROUTES

if TYPE_CHECKING:
    from hpcobs.http.request import Event
    from hpcobs.http.routes import Route

MAX_PATH_JOB_ID = 320
"""A job id of 255 characters behind a cluster's name and a dot."""

_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\[\]-]*", re.ASCII)
_PARAMETER = re.compile(r"\{\w+\}")


def route_of(event: Event) -> Route:
    """The route that the gateway matched; NotFoundError or MethodNotAllowedError if it did not.

    Deny by default: what is not in the table is not answered, whatever the gateway was told.
    """
    route = BY_KEY.get(event["routeKey"])
    if route is not None:
        return route
    method = event["requestContext"]["http"]["method"]
    allowed = [known.method for known in ROUTES if _pattern(known).fullmatch(_path(event))]
    if allowed:
        raise MethodNotAllowedError(method, allowed)
    raise NotFoundError("there is nothing at this path")


def resolved_path(event: Event, route: Route) -> str:
    """The path under which the resolver finds the route and no other.

    It is built from the gateway's own match, since an escaped slash in a path may read as another.
    """
    if "{jobId}" not in route.path:
        return route.path
    job_id = unquote(event["pathParameters"]["jobId"])
    if len(job_id) > MAX_PATH_JOB_ID or not _JOB_ID.fullmatch(job_id):
        raise InvalidInputError("jobId", "is not a job's id")
    return route.path.replace("{jobId}", job_id)


def _path(event: Event) -> str:
    stage = event["requestContext"].get("stage", "$default")
    path: str = event["rawPath"]
    return path.removeprefix(f"/{stage}") if stage != "$default" else path


def _pattern(route: Route) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(route.path))))
