"""Authorisation: a missing, wrong or too weak token gets its own error."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from hpcobs import bootstrap
from hpcobs.http.routes import ROUTES, Route
from tests.functions.gateway import CONTEXT, Gateway, handler, token
from tests.functions.sites import changed_environment
from tests.unit.auth.providers import AUDIENCE, ISSUER, rsa_key, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

SCOPED = [route for route in ROUTES if route.scope is not None]


def none_token() -> str:
    parts = [{"alg": "none", "typ": "JWT"}, {"sub": "me", "scope": "admin", "exp": 4_000_000_000}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b""]).decode()


BAD = {
    "expired": (f"Bearer {token(seconds=-60)}", "expired"),
    "other secret": (f"Bearer {token(secret='another secret, as long as the first')}", "not valid"),
    "no algorithm": (f"Bearer {none_token()}", "not valid"),
    "no token": ("Bearer", "needed"),
    "nonsense": ("Bearer abc", "not valid"),
    "digest": ("Digest abc", "needed"),
    "basic without password": ("Basic YWRh", "password"),
    "basic nonsense": ("Basic ###", "Basic"),
}


def path_of(route: Route) -> str:
    return route.path.replace("{jobId}", "1")


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_route_is_closed_without_token(shared_site: Gateway, route: Route) -> None:
    answer = shared_site.send(route.method, path_of(route), authorization=None)
    assert (answer.status, answer.error) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("authorization", "reason"), BAD.values(), ids=BAD)
def test_bad_token_gets_its_reason(shared_site: Gateway, authorization: str, reason: str) -> None:
    answer = shared_site.get("/v1/jobs", authorization=authorization)
    assert (answer.status, answer.error) == (401, "unauthorized")
    assert reason in answer.json["message"]


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_wrong_scope_is_forbidden(shared_site: Gateway, route: Route) -> None:
    others = {other.scope for other in SCOPED if other.scope and other.scope != route.scope}
    answer = shared_site.send(
        route.method, path_of(route), authorization=f"Bearer {token(' '.join(others))}"
    )
    assert (answer.status, answer.error) == (403, "forbidden")
    assert str(route.scope) in answer.json["message"]


def test_token_may_be_basic_password(shared_site: Gateway) -> None:
    credentials = base64.b64encode(f"prometheus:{token('jobs:read')}".encode()).decode()
    assert shared_site.get("/v1/jobs", authorization=f"Basic {credentials}").status == 200


def test_token_is_checked_before_body(shared_site: Gateway) -> None:
    assert shared_site.post("/v1/jobs", body="{", authorization=None).status == 401


def test_authorizer_uses_simple_response_format() -> None:
    event = {"headers": {"authorization": "Bearer abc"}, "type": "REQUEST", "version": "2.0"}
    assert handler("authorizer")(event, CONTEXT) == {
        "isAuthorized": True,
        "context": {"error": "the token is not valid"},
    }


def test_unmatched_request_is_404_or_405(shared_site: Gateway) -> None:
    unknown = shared_site.get("/v1/nope", authorization=None)
    assert (unknown.status, unknown.error) == (404, "not_found")
    wrong = shared_site.send("PUT", "/v1/jobs/1", authorization=None)
    assert (wrong.status, wrong.error) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "DELETE, GET, PATCH"


def test_verdict_depends_on_identity_source_only() -> None:
    weak, strong = f"Bearer {token('jobs:read')}", f"Bearer {token()}"
    event = {"identitySource": [weak], "headers": {"authorization": strong}, "type": "REQUEST"}
    verdict = handler("authorizer")(event, CONTEXT)
    assert verdict["context"]["scopes"] == "jobs:read"


@pytest.fixture
def provider_is_away(shared_site: Gateway) -> Iterator[Gateway]:
    """Provide a site whose identity provider was never reached."""
    away = {"AUTH_JWKS_URL": "https://127.0.0.1:1/keys"}
    known = {"AUTH_ISSUER": ISSUER, "AUTH_AUDIENCE": AUDIENCE}
    with changed_environment(bootstrap.authenticator, **away, **known):
        yield shared_site


def test_unreachable_provider_is_503_not_401(
    provider_is_away: Gateway,
) -> None:
    theirs = signed(rsa_key("site"))
    answer = provider_is_away.get("/v1/jobs", authorization=f"Bearer {theirs}")
    assert (answer.status, answer.error) == (503, "unavailable")
    assert answer.json["message"] == "the identity provider's keys cannot be read now"
    assert answer.headers["retry-after"] == "60"
    assert provider_is_away.get("/v1/jobs").status == 200
