"""A request as handlers see it: the caller, the path's and the query's values, and the body.

The body arrives as text or base64, plain or gzip. Here it becomes bytes, within limits.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from isal import igzip_lib, isal_zlib

from hpcobs.domain import values
from hpcobs.domain.audit import AuditInfo
from hpcobs.domain.clusters import check_cluster
from hpcobs.domain.errors import ForbiddenError, InvalidInputError
from hpcobs.http.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hpcobs.auth.principal import Principal
    from hpcobs.domain.events import JobFinished, JobStarted
    from hpcobs.http.routes import Route

Event = dict[str, Any]
"""An API Gateway HTTP API event, payload version 2.0."""

MAX_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit of a request, applied to the unpacked body as well."""

MAX_CORRELATION_ID = 128
MAX_HEADER_TEXT = 255
MAX_PATH_JOB_ID = values.MAX_TEXT + values.MAX_CLUSTER + 1
"""A job id behind a cluster's name and a dot. A submission's time may follow."""

# As texts: the enums would bring the domain's events into functions that have no events.
NODE_SOURCES = ("prolog", "epilog")
"""The hooks that run on the nodes. The others run on the controller."""

_JOB_ID = re.compile(rf"{values.JOB_ID}(?:@[0-9]{{8}}T[0-9]{{6}}Z)?")
_GZIP_WBITS = 31
_GZIP = ("gzip", "x-gzip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One authorised request. Header names are lower case, ``query`` is the raw query string."""

    principal: Principal
    correlation_id: str
    headers: Mapping[str, str]
    path_parameters: Mapping[str, str]
    query: str
    body: bytes

    @property
    def job_id(self) -> str:
        """The path's job id. Raise InvalidInputError if it cannot be one."""
        # The gateway unescapes a path once or not at all, depending on the character.
        job_id = unquote(self.path_parameters["jobId"])
        plain, _, _ = job_id.partition("@")
        if len(plain) > MAX_PATH_JOB_ID or not _JOB_ID.fullmatch(job_id):
            raise InvalidInputError("jobId", "is not a job's id")
        return job_id

    def audit(self, *, default_source: str) -> AuditInfo:
        """Return the author and the source of a change.

        Both begin with what the service knows: the token's subject, and ``default_source``. The
        client's headers follow in parentheses.
        """
        return AuditInfo(
            changed_by=self._with_claim(self.principal.subject, "x-changed-by"),
            source=self._with_claim(default_source, "x-source"),
            correlation_id=self.correlation_id,
        )

    def _with_claim(self, known: str, header: str) -> str:
        # A header is the client's own claim: it is added to what is known, and never replaces it.
        claimed = _header_text(self.headers, header)
        return f"{known} ({claimed})" if claimed else known

    def check_cluster(
        self, named: str | None, job_ids: Iterable[str], *, home_cluster: str
    ) -> None:
        """Raise ForbiddenError if a token of one cluster speaks for another.

        ``named`` is the cluster in the body. None stands for ``home_cluster``.
        """
        bound = self.principal.bound_cluster(home_cluster)
        check_cluster(bound, named, job_ids, home_cluster=home_cluster)

    def check_sender(self, event: JobStarted | JobFinished, *, home_cluster: str) -> None:
        """Raise ForbiddenError if a token sends an event that is not its own.

        A node's token sends no event of another node or of the controller. A cluster's token sends
        none of another cluster.
        """
        self.check_cluster(event.cluster_name, [event.job_id], home_cluster=home_cluster)
        node = self.principal.node
        if node is None:
            return
        if event.node != node:
            raise ForbiddenError(f"this token may only send events of node {node}, named in 'node'")
        if event.source not in NODE_SOURCES:
            raise ForbiddenError("a node's token may not send the controller's events")
        if event.nodes and node not in event.nodes:
            raise ForbiddenError(f"this token may only send events of jobs on node {node}")

    def check_controller(self) -> None:
        """Raise ForbiddenError if a node's token sends the controller's view."""
        if self.principal.node is not None:
            raise ForbiddenError("a node's token may not send the controller's events")


def read_request(
    event: Event, route: Route, principal: Principal, *, correlation_id: str
) -> Request:
    """Return the event's request. Raise InvalidInputError or an error of the body if it is bad."""
    headers = event.get("headers") or {}
    query = event.get("rawQueryString") or ""
    if route.scope is not None and not route.takes_query:
        _reject_parameters(query)
    return Request(
        principal=principal,
        correlation_id=correlation_id,
        headers=headers,
        path_parameters=event.get("pathParameters") or {},
        query=query,
        body=read_body(event, headers) if route.method in ("POST", "PATCH") else b"",
    )


def _reject_parameters(query: str) -> None:
    for name, _ in parse_qsl(query, keep_blank_values=True):
        raise InvalidInputError(name[:MAX_HEADER_TEXT], "is not a known parameter")


def correlation_id_of(event: Event) -> str:
    """Return the client's X-Correlation-Id if it is short and printable, else a new one."""
    given = str((event.get("headers") or {}).get("x-correlation-id", "")).strip()
    if given and len(given) <= MAX_CORRELATION_ID and given.isascii() and given.isprintable():
        return given
    return str(uuid.uuid4())


def _header_text(headers: Mapping[str, str], name: str) -> str | None:
    text = headers.get(name, "").strip()
    if len(text) > MAX_HEADER_TEXT or not text.isprintable():
        raise InvalidInputError(name, f"must be printable, {MAX_HEADER_TEXT} characters at most")
    return text or None


def read_body(event: Event, headers: Mapping[str, str]) -> bytes:
    """Return the event's body, unpacked.

    Raise UnsupportedMediaTypeError, PayloadTooLargeError or InvalidRequestError.
    """
    _check_type(headers.get("content-type"))
    body = _raw(event)
    if len(body) > MAX_BODY_BYTES:
        raise _too_large()
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in _GZIP:
        return _unpacked(body)
    if coding in ("", "identity"):
        return body
    raise UnsupportedMediaTypeError("Content-Encoding must be gzip or absent")


def _check_type(content_type: str | None) -> None:
    """Accept JSON by any of its names, in UTF-8. A body without a type counts as JSON."""
    if not content_type:
        return
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    json = name == "application/json" or (
        name.startswith("application/") and name.endswith("+json")
    )
    charsets = {
        value.strip("\"'")
        for key, _, value in (part.partition("=") for part in parameters)
        if key == "charset"
    }
    if not json or not charsets <= {"utf-8", "utf8"}:
        raise UnsupportedMediaTypeError("Content-Type must be application/json, in UTF-8")


def _raw(event: Event) -> bytes:
    text: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        # A lone surrogate must reach the JSON parser, which rejects it with a clear message.
        return text.encode(errors="surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError("the body is not valid base64") from None


def _unpacked(body: bytes) -> bytes:
    unpacker = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
    try:
        # One byte past the limit shows a gzip bomb, and no more of it is unpacked.
        content: bytes = unpacker.decompress(body, max_length=MAX_BODY_BYTES + 1)
    except igzip_lib.IsalError:  # type: ignore[misc] # the stub calls it an instance
        raise InvalidRequestError("the body is not valid gzip") from None
    if len(content) > MAX_BODY_BYTES:
        raise _too_large()
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidRequestError("the body is not one complete gzip stream")
    return content


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(f"a body may have {MAX_BODY_BYTES} bytes at the most, unpacked")
