"""The one table from errors to responses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hpcobs.domain import errors as domain
from hpcobs.http import errors as edge
from hpcobs.http.errors import response_to


def subclasses(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*(subclasses(each) for each in kind.__subclasses__()))


EXAMPLES: list[tuple[Exception, int, str]] = [
    (edge.InvalidRequestError("no"), 400, "invalid_request"),
    (domain.InvalidInputError("body", "is not JSON"), 400, "invalid_request"),
    (edge.InvalidFieldsError("no"), 400, "validation_error"),
    (domain.InvalidInputError("node", "is odd"), 400, "validation_error"),
    (domain.InvalidStateError("state", "is odd"), 400, "validation_error"),
    (domain.UnauthorizedError("no"), 401, "unauthorized"),
    (domain.ForbiddenError("no"), 403, "forbidden"),
    (domain.JobNotFoundError("1"), 404, "not_found"),
    (edge.MethodNotAllowedError("PUT", ["GET"]), 405, "method_not_allowed"),
    (domain.AlreadyExistsError("1"), 409, "conflict"),
    (domain.JobTerminalError("1", "failed"), 409, "job_terminal"),
    (edge.PayloadTooLargeError("no"), 413, "payload_too_large"),
    (edge.UnsupportedMediaTypeError("no"), 415, "unsupported_media_type"),
    (domain.UnavailableError("no"), 503, "unavailable"),
    (domain.DomainError("a secret"), 500, "internal_error"),
    (RuntimeError("a secret"), 500, "internal_error"),
]


def body_of(error: Exception) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response_to(error).body)
    return body


@pytest.mark.parametrize(("error", "status", "code"), EXAMPLES)
def test_error_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    assert response_to(error).status == status
    assert body_of(error)["error"] == code


def test_every_domain_error_is_in_table() -> None:
    for kind in subclasses(domain.DomainError) - {domain.DomainError}:
        assert any(base in edge.STATUS_AND_CODE for base in kind.__mro__), kind


def test_internal_error_hides_its_text() -> None:
    assert "secret" not in json.dumps(body_of(RuntimeError("a secret")))


def test_bad_field_is_named_with_reason() -> None:
    details = body_of(domain.InvalidInputError("node", "is odd"))["details"]
    assert details == {"errors": [{"field": "node", "message": "is odd"}]}


def test_errors_carry_their_http_headers() -> None:
    assert (
        response_to(domain.UnauthorizedError("no")).headers["WWW-Authenticate"].startswith("Bearer")
    )
    assert response_to(domain.UnavailableError("no")).headers["Retry-After"] == "5"
    not_allowed = response_to(edge.MethodNotAllowedError("PUT", ["POST", "GET"]))
    assert not_allowed.headers["Allow"] == "GET, POST"
