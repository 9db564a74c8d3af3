"""A request as the routes see it: who calls, the path's and the query's values, and the body."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from hpcobs.auth.principal import ANONYMOUS, VERDICT_SECONDS, Principal
from hpcobs.auth.scopes import EVENTS_WRITE, JOBS_READ, JOBS_WRITE, SAMPLES_WRITE
from hpcobs.domain.audit import AuditInfo
from hpcobs.domain.errors import (
    ForbiddenError,
    InvalidInputError,
    UnauthorizedError,
    UnavailableError,
)
from hpcobs.http.bodies import read_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpcobs.http.routes import Route

Event = dict[str, Any]
"""An API Gateway HTTP API event, payload version 2.0."""

MAX_CORRELATION_ID = 128
MAX_HEADER_TEXT = 255

NODE_SCOPES = (EVENTS_WRITE, SAMPLES_WRITE)
USER_SCOPES = (JOBS_READ, JOBS_WRITE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One authorised request; header names are lower case, ``query`` is as it came."""

    route: Route
    principal: Principal
    correlation_id: str
    headers: Mapping[str, str]
    query: str
    body: bytes

    def audit(self, *, default_source: str) -> AuditInfo:
        """Who answers for a change: the token's subject always, the headers in addition."""
        named = _header_text(self.headers, "x-changed-by")
        subject = self.principal.subject
        return AuditInfo(
            changed_by=f"{subject} ({named})" if named else subject,
            source=_header_text(self.headers, "x-source") or default_source,
            correlation_id=self.correlation_id,
        )


def read_request(event: Event, route: Route, correlation_id: str) -> Request:
    """The request in an event, authorised; one of the edge's errors otherwise."""
    principal = authorised(event, route)
    headers = event.get("headers") or {}
    query = event.get("rawQueryString") or ""
    if route.scope is not None and not route.takes_query:
        _refuse_parameters(query)
    return Request(
        route=route,
        principal=principal,
        correlation_id=correlation_id,
        headers=headers,
        query=query,
        body=read_body(event, headers) if route.method in ("POST", "PATCH") else b"",
    )


def _refuse_parameters(query: str) -> None:
    for name, _ in parse_qsl(query, keep_blank_values=True):
        raise InvalidInputError(name[:MAX_HEADER_TEXT], "is not a known parameter")


def authorised(event: Event, route: Route) -> Principal:
    """The caller, if the route is open to it; UnauthorizedError or ForbiddenError if not."""
    if route.scope is None:
        return ANONYMOUS
    principal = _authenticated(event)
    if not principal.allows(route.scope):
        raise ForbiddenError(f"the token lacks the scope {route.scope}")
    if principal.node is not None and route.scope not in NODE_SCOPES:
        raise ForbiddenError("a node's token may only send that node's events and samples")
    if principal.user is not None and route.scope not in USER_SCOPES:
        raise ForbiddenError("a user's token may only see and change that user's jobs")
    return principal


def _authenticated(event: Event) -> Principal:
    """The principal that the authorizer found. Its verdict may be cached, so the end is checked."""
    authorizer = event["requestContext"].get("authorizer") or {}
    context = authorizer.get("lambda") or {}
    if context.get("unavailable"):
        raise UnavailableError(str(context["unavailable"]), retry_after_seconds=VERDICT_SECONDS)
    if context.get("error") or not context.get("subject"):
        raise UnauthorizedError(str(context.get("error") or "a token is needed"))
    principal = Principal.from_context(context)
    if principal.expires_at is not None and principal.expires_at < time.time():
        raise UnauthorizedError("the token has expired")
    return principal


def correlation_id_of(event: Event) -> str:
    """The client's X-Correlation-Id if it is short and printable, or a new one."""
    given = str((event.get("headers") or {}).get("x-correlation-id", "")).strip()
    if given and len(given) <= MAX_CORRELATION_ID and given.isascii() and given.isprintable():
        return given
    return str(uuid.uuid4())


def _header_text(headers: Mapping[str, str], name: str) -> str | None:
    text = headers.get(name, "").strip()
    if len(text) > MAX_HEADER_TEXT or not text.isprintable():
        raise InvalidInputError(name, f"must be printable, {MAX_HEADER_TEXT} characters at most")
    return text or None
