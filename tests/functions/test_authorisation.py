"""Who may do what: every token that is missing, wrong or too weak has its own refusal."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from hpcobs import bootstrap
from hpcobs.http.routes import ROUTES, Route
from tests.functions.gateway import CONTEXT, Gateway, handler, token
from tests.functions.sites import told_otherwise
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
def test_without_a_token_a_route_is_closed(shared_site: Gateway, route: Route) -> None:
    answer = shared_site.send(route.method, path_of(route), authorization=None)
    assert (answer.status, answer.error) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("authorization", "reason"), BAD.values(), ids=BAD)
def test_a_bad_token_is_told_what_is_wrong(
    shared_site: Gateway, authorization: str, reason: str
) -> None:
    answer = shared_site.get("/v1/jobs", authorization=authorization)
    assert (answer.status, answer.error) == (401, "unauthorized")
    assert reason in answer.json["message"]


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_another_scope_is_not_enough(shared_site: Gateway, route: Route) -> None:
    others = {other.scope for other in SCOPED if other.scope and other.scope != route.scope}
    answer = shared_site.send(
        route.method, path_of(route), authorization=f"Bearer {token(' '.join(others))}"
    )
    assert (answer.status, answer.error) == (403, "forbidden")
    assert str(route.scope) in answer.json["message"]


def test_the_token_may_come_as_a_password(shared_site: Gateway) -> None:
    credentials = base64.b64encode(f"prometheus:{token('jobs:read')}".encode()).decode()
    assert shared_site.get("/v1/jobs", authorization=f"Basic {credentials}").status == 200


def test_a_refusal_comes_before_a_look_at_the_body(shared_site: Gateway) -> None:
    assert shared_site.post("/v1/jobs", body="{", authorization=None).status == 401


def test_the_authorizer_answers_in_the_gateways_simple_format() -> None:
    event = {"headers": {"authorization": "Bearer abc"}, "type": "REQUEST", "version": "2.0"}
    assert handler("authorizer")(event, CONTEXT) == {
        "isAuthorized": True,
        "context": {"error": "the token is not valid"},
    }


def test_an_unknown_path_is_not_found_and_a_wrong_method_not_allowed(shared_site: Gateway) -> None:
    unknown = shared_site.get("/v1/nope", authorization=None)
    assert (unknown.status, unknown.error) == (404, "not_found")
    wrong = shared_site.send("PUT", "/v1/jobs/1", authorization=None)
    assert (wrong.status, wrong.error) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "DELETE, GET, PATCH"


def test_the_verdict_is_on_the_text_that_the_gateway_keeps_it_for() -> None:
    weak, strong = f"Bearer {token('jobs:read')}", f"Bearer {token()}"
    event = {"identitySource": [weak], "headers": {"authorization": strong}, "type": "REQUEST"}
    verdict = handler("authorizer")(event, CONTEXT)
    assert verdict["context"]["scopes"] == "jobs:read"


@pytest.fixture
def provider_is_away(shared_site: Gateway) -> Iterator[Gateway]:
    """A site whose identity provider was never reached."""
    away = {"AUTH_JWKS_URL": "https://127.0.0.1:1/keys"}
    known = {"AUTH_ISSUER": ISSUER, "AUTH_AUDIENCE": AUDIENCE}
    with told_otherwise(bootstrap.authenticator, **away, **known):
        yield shared_site


def test_what_cannot_be_told_now_is_unavailable_and_not_unauthorized(
    provider_is_away: Gateway,
) -> None:
    theirs = signed(rsa_key("site"))
    answer = provider_is_away.get("/v1/jobs", authorization=f"Bearer {theirs}")
    assert (answer.status, answer.error) == (503, "unavailable")
    assert answer.json["message"] == "the identity provider's keys cannot be read now"
    assert answer.headers["retry-after"] == "60"
    assert provider_is_away.get("/v1/jobs").status == 200
