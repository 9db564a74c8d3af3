"""The table that maps errors to responses, and the errors that only HTTP has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.errors import (
    AlreadyExistsError,
    DomainError,
    ForbiddenError,
    InvalidInputError,
    JobTerminalError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)
from hpcobs.http.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class InvalidRequestError(DomainError):
    """The request cannot be read: not JSON, not gzip, or a field of the wrong type."""


class InvalidFieldsError(DomainError):
    """Fields of a well-formed body or query break their rules."""


class PayloadTooLargeError(DomainError):
    """The body is larger than the limit, packed or unpacked."""


class UnsupportedMediaTypeError(DomainError):
    """The body has a content type or coding that the service does not support."""


class MethodNotAllowedError(DomainError):
    """The path exists, but not with this method."""

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        super().__init__(f"{method} is not allowed here")
        self.allowed = ", ".join(sorted(allowed))


STATUS_AND_CODE: Mapping[type[DomainError], tuple[int, str]] = {
    InvalidRequestError: (400, "invalid_request"),
    InvalidFieldsError: (400, "validation_error"),
    InvalidInputError: (400, "validation_error"),
    UnauthorizedError: (401, "unauthorized"),
    ForbiddenError: (403, "forbidden"),
    NotFoundError: (404, "not_found"),
    MethodNotAllowedError: (405, "method_not_allowed"),
    AlreadyExistsError: (409, "conflict"),
    JobTerminalError: (409, "job_terminal"),
    PayloadTooLargeError: (413, "payload_too_large"),
    UnsupportedMediaTypeError: (415, "unsupported_media_type"),
    UnavailableError: (503, "unavailable"),
}
"""Every error that a client may see. A subclass is treated as its nearest base class."""

WHOLE_BODY = "body"
"""The field of an InvalidInputError about the body as a whole: it is no JSON, for example."""


def response_to(error: Exception) -> Response:
    """Return the response in the contract's shape.

    An error that is not in the table becomes a 500 without any detail, because its text may name
    internals.
    """
    if isinstance(error, InvalidInputError) and error.field == WHOLE_BODY:
        return _response(error, 400, "invalid_request")
    if isinstance(error, DomainError):
        # From the class to its bases: the nearest entry of the table counts.
        for kind in type(error).__mro__:
            if kind in STATUS_AND_CODE:
                return _response(error, *STATUS_AND_CODE[kind])
    body = {"error": "internal_error", "message": "something went wrong; it has been logged"}
    return Response.json(body, status=500)


def _response(error: DomainError, status: int, code: str) -> Response:
    body: dict[str, object] = {"error": code, "message": error.message}
    details = _details(error)
    if details:
        body["details"] = details
    return Response.json(body, status=status, headers=_headers(error))


def _details(error: DomainError) -> Mapping[str, object]:
    if isinstance(error, InvalidInputError):
        return {"errors": [{"field": error.field, "message": error.details["reason"]}]}
    return error.details


def _headers(error: DomainError) -> Mapping[str, str]:
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": 'Bearer realm="hpcobs"'}
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": error.allowed}
    if isinstance(error, UnavailableError):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {}
