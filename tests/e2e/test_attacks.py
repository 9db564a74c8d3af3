"""Attacks on a running service: on its paths, headers and HTTP. Its logs hold no secrets."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.auth import site_tokens
from hpcobs.auth.decoding import LEEWAY_SECONDS
from hpcobs.http.routes import ROUTES
from tests.e2e.raw import Received, request, send
from tests.functions.attacks import LEAKS
from tests.functions.forgeries import TOKENS
from tests.local.services import Service
from tests.unit.auth.providers import AUDIENCE, ISSUER, Provider, ec_key, jwk, rsa_key, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

CURRENT = "the site's key of today, long enough for it"
PREVIOUS = "the site's key of yesterday, long enough"
MARK = "adas-own-work"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(jwk(rsa_key("site"), kid="rsa"), jwk(ec_key("site"), kid="ec")) as running:
        yield running


@pytest.fixture(scope="module")
def service(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a site with a key that was just changed, an identity provider, and a job of ada."""
    environ = {
        "AUTH_SECRET": CURRENT,
        "AUTH_SECRET_PREVIOUS": PREVIOUS,
        "AUTH_JWKS_URL": provider.url,
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_SCOPES_BY_GROUP": '{"hpc-staff": "jobs:read"}',
        "CLUSTER_NAME": "lab",
    }
    folder = tmp_path_factory.mktemp("attacked") / "data"
    with Service(folder, "--no-simulate", environ=environ) as running:
        with running.client() as client:
            job = {"id": "77001", "user": "ada", "nodes": ["n1"], "name": MARK}
            assert client.post("/v1/jobs", json=job).status_code == 201
        yield running


def own(key: str = CURRENT, scope: str = "jobs:read", **claims: Any) -> str:
    end = datetime.now(UTC) + timedelta(hours=1)
    claims = {"subject": "tester", **claims}
    return site_tokens.issue(key, scopes=scope.split(), expires_at=end, **claims)


def jobs_of(service: Service, token: str) -> list[str]:
    with service.client(token) as client:
        response = client.get("/v1/jobs")
        assert response.status_code == 200, response.text
        return [job["id"] for job in response.json()["jobs"]]


def ask(service: Service, target: str, *headers: str, **options: Any) -> Received:
    return send(service.url, request(target, *headers, **options))


def status(service: Service, target: str, *headers: str, **options: Any) -> int:
    """Return the status of the one response, which leaks nothing if it is an error."""
    received = ask(service, target, *headers, **options)
    (found,) = received.statuses
    if found >= 400:
        assert MARK not in received.text
        assert not LEAKS.search(received.text)
    return found


def test_tokens_of_both_keys_are_valid(service: Service) -> None:
    for key in (CURRENT, PREVIOUS):
        assert jobs_of(service, own(key)) == ["77001"]


def test_users_of_provider_see_their_own_jobs(service: Service) -> None:
    assert jobs_of(service, signed(rsa_key("site"))) == ["77001"]
    bob = signed(ec_key("site"), algorithm="ES256", kid="ec", preferred_username="bob")
    assert jobs_of(service, bob) == []
    with service.client(bob) as client:
        assert client.get("/v1/jobs/77001").status_code == 404
        assert client.delete("/v1/jobs/77001").status_code == 403
    staff = signed(rsa_key("site"), preferred_username="bob", groups=["hpc-staff"])
    assert jobs_of(service, staff) == ["77001"]


@pytest.mark.parametrize("name", [name for name, text in TOKENS.items() if text.isascii()])
def test_forged_tokens_are_rejected(service: Service, name: str) -> None:
    found = status(service, "/v1/jobs", f"Authorization: Bearer {TOKENS[name]}")
    assert found == (431 if name == "huge" else 401)


FOREIGN = {
    "for another service": signed(rsa_key("site"), aud="mail"),
    "for nobody": signed(rsa_key("site"), aud=None),
    "for a service whose name begins like ours": signed(rsa_key("site"), aud=f"{AUDIENCE}-test"),
    "of another provider": signed(rsa_key("site"), iss="https://evil.example.org"),
    "of no provider": signed(rsa_key("site"), iss=None),
    "of another key under the provider's name": signed(rsa_key("evil")),
    "of a key that nobody published": signed(rsa_key("evil"), kid="new"),
    "of the other kind of key": signed(ec_key("site"), algorithm="ES256", kid="rsa"),
    "that has ended": signed(rsa_key("site"), exp=1_700_000_000),
}


@pytest.mark.parametrize("token", FOREIGN.values(), ids=FOREIGN)
def test_foreign_tokens_of_provider_are_rejected(service: Service, token: str) -> None:
    assert status(service, "/v1/jobs", f"Authorization: Bearer {token}") == 401


PATHS = (
    "//v1/jobs", "/v1//jobs", "/v1/jobs/", "/v1/jobs//", "/./v1/jobs", "/v1/./jobs",
    "/v1/health/../jobs", "/v1/health/%2e%2e/jobs", "/v1/health/..%2fjobs", "/v1/docs/..;/jobs",
    "/v1/jobs;a=1", "/v1/jobs;", "/V1/JOBS", "/v1/Jobs", "/v1/%6aobs", "/v1%2fjobs", "/v1%2Fjobs",
    "/v1/jobs%00", "/%00/v1/jobs", "/v1/jobs%0a", "/v1/jobs%20", "/v1/jobs%09", "/v1\\jobs",
    "/v1/jobs.json", "/v1/jobs%3f", "/v1/health%3f/../jobs", "/v1/health#/jobs", "/v1/jobs/77001/",
    "/v1/jobs/77001%2faudit", "/v1/jobs%2f77001", "/v1/jobs/77001%00", "/v1/jobs/./77001",
    "/v1/jobs/x/../77001", "/v1/jobs/%37%37001", "/v1/jobs/77001;a=b", "/v1/jobs/77001/AUDIT",
    "/v1/health/v1/jobs", "/$default", "/$default/v1/jobs", "/{proxy+}", "*", "v1/jobs",
    "http://evil.example.org/v1/jobs", "https://h/v1/jobs", "h:80", "/v1/%c0%ae%c0%ae/jobs",
    "/v1/jobs%252f77001", "/metrics/", "/metrics%2f", "//metrics", "/Metrics", "/v1/../metrics",
)  # fmt: skip


@pytest.mark.parametrize("target", PATHS)
def test_no_path_bypasses_authorizer(service: Service, target: str) -> None:
    assert status(service, target) in (400, 401, 404, 405)
    weak = f"Authorization: Bearer {own(scope='samples:write')}"
    assert status(service, target, weak) in (400, 403, 404, 405)
    bob = f"Authorization: Bearer {own(scope='jobs:read', user='bob')}"
    assert MARK not in ask(service, target, bob).text


@pytest.mark.parametrize(
    "method", ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "get", "JOBS", "GET%20"]
)
def test_no_method_bypasses_authorizer(service: Service, method: str) -> None:
    assert status(service, "/v1/jobs", method=method) in (400, 404, 405)
    overriding = ("X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE")
    reader = f"Authorization: Bearer {own()}"
    assert status(service, "/v1/jobs/77001", reader, *overriding) == 200
    assert jobs_of(service, own()) == ["77001"]


GOOD = "Authorization: Bearer {}"
TWICE = {
    "good, then bad": (GOOD, "Authorization: Bearer x"),
    "bad, then good": ("Authorization: Bearer x", GOOD),
    "good twice": (GOOD, GOOD),
    "in two cases": ("authorization: Bearer x", "AUTHORIZATION: Bearer {}"),
    "folded": ("Authorization: Bearer", " {}"),
    "with a space before the colon": ("Authorization : Bearer {}",),
    "under another name": ("X-Authorization: Bearer {}", "Proxy-Authorization: Bearer {}"),
    "with an underscore": ("Authorization_: Bearer {}", "X_Authorization: Bearer {}"),
    "in a cookie": ("Cookie: Authorization=Bearer {}; token={}",),
    "with NUL": ("Authorization: Bearer {}\0",),
    "with a tail": ("Authorization: Bearer {}, Basic eDp5",),
}


@pytest.mark.parametrize("headers", TWICE.values(), ids=TWICE)
def test_only_one_token_header_is_accepted(service: Service, headers: tuple[str, ...]) -> None:
    filled = [header.replace("{}", own()) for header in headers]
    accepted = {200} if headers == TWICE["folded"] else {400, 401}  # folding is old, but HTTP
    assert status(service, "/v1/jobs", *filled) in accepted
    assert status(service, f"/v1/jobs?authorization=Bearer%20{own()}&access_token={own()}") == 401


@pytest.mark.parametrize(
    "headers",
    [("X-Big: " + "x" * 100_000,), tuple(f"X-{n}: {'x' * 100}" for n in range(2000))],
    ids=["one", "many"],
)
def test_oversized_headers_are_rejected(service: Service, headers: tuple[str, ...]) -> None:
    received = ask(service, "/v1/health", *headers)
    assert received.statuses in ([400], [431], [])  # it may close before all has been sent
    assert status(service, "/v1/health") == 200


BEHIND = request("/v1/health")
CHUNKED = b"0\r\n\r\n"
AMBIGUOUS: dict[str, tuple[tuple[str, ...], bytes]] = {
    "two lengths": (("Content-Length: 0", f"Content-Length: {len(BEHIND)}"), b""),
    "two lengths in one": ((f"Content-Length: 0, {len(BEHIND)}",), b""),
    "a negative length": (("Content-Length: -1",), b""),
    "a length with a sign": (("Content-Length: +0",), b""),
    "a length that is no number": (("Content-Length: 0x0",), b""),
    "an unknown coding": (("Transfer-Encoding: xchunked",), CHUNKED),
    "a coding twice": (("Transfer-Encoding: chunked, chunked",), CHUNKED),
    "two codings": (("Transfer-Encoding: gzip, chunked",), CHUNKED),
    "a coding in two headers": (
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        CHUNKED,
    ),
    "a chunk without a size": (("Transfer-Encoding: chunked",), b"x\r\n\r\n"),
    "a chunk of a negative size": (("Transfer-Encoding: chunked",), b"-1\r\n\r\n"),
    "a chunk of endless size": (("Transfer-Encoding: chunked",), b"f" * 400 + b"\r\n"),
}


@pytest.mark.parametrize(("headers", "body"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_length_smuggles_no_request(
    service: Service, headers: tuple[str, ...], body: bytes
) -> None:
    line = ("POST /v1/samples HTTP/1.1", "Host: h", f"Authorization: Bearer {own()}")
    head = "\r\n".join([*line, *headers, "", ""]).encode()
    received = send(service.url, head + body + BEHIND)
    assert received.statuses in ([400], [501])


def test_chunked_coding_overrides_content_length(service: Service) -> None:
    # As RFC 9112, 6.3 demands. There is no proxy in front that could read it differently.
    line = ("POST /v1/jobs HTTP/1.1", "Host: h", f"Authorization: Bearer {own()}")
    both = (f"Content-Length: {len(CHUNKED + BEHIND)}", "Transfer-Encoding: chunked")
    head = "\r\n".join([*line, *both, "", ""]).encode()
    received = send(service.url, head + CHUNKED + BEHIND)
    assert received.statuses in ([403, 200], [403], [400])


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02\x03",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/jobs\r\n\r\n",
        b"GET /v1/jobs HTTP/9.9\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v1/jo bs HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /v1/j\xc3\xb6bs HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: h\r\nX-\xff: 1\r\n\r\n",
    ],
)
def test_invalid_http_is_rejected(service: Service, content: bytes) -> None:
    received = send(service.url, content)
    assert received.statuses in ([400], [401], [404], [])
    assert not LEAKS.search(received.text)


def test_forged_gateway_headers_have_no_effect(service: Service) -> None:
    context = json.dumps({"authorizer": {"lambda": {"subject": "root", "scopes": "admin"}}})
    names = ("X-Amzn-Request-Context", "X-Apigateway-Event", "X-Amzn-Lambda-Context")
    forged = [f"{name}: {context}" for name in names]
    assert status(service, "/v1/jobs", *forged) == 401
    weak = f"Authorization: Bearer {own(scope='samples:write')}"
    assert status(service, "/v1/jobs", weak, *forged) == 403


def test_cached_verdict_holds_for_one_token_only(service: Service) -> None:
    admin, reader = own(scope="admin"), own(scope="jobs:read")
    for _ in range(2):
        assert status(service, "/v1/jobs", f"Authorization: Bearer {admin}") == 200
        assert status(service, "/metrics", f"Authorization: Bearer {admin}") == 200
        assert status(service, "/metrics", f"Authorization: Bearer {reader}") == 403
        assert status(service, "/v1/jobs", f"Authorization: Bearer {reader}") == 200
        assert status(service, "/v1/jobs", f"Authorization: Bearer {admin}x") == 401
        assert status(service, "/v1/jobs", f"Authorization: bearer {admin[:-1]}") == 401


def test_token_expires_despite_cached_verdict(service: Service) -> None:
    end = datetime.now(UTC) - timedelta(seconds=LEEWAY_SECONDS - 2)
    short = site_tokens.issue(CURRENT, subject="x", scopes=["jobs:read"], expires_at=end)
    header = f"Authorization: Bearer {short}"
    first = status(service, "/v1/jobs", header)
    time.sleep(2.5)
    assert (first in (200, 401), status(service, "/v1/jobs", header)) == (True, 401)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.key))
def test_every_closed_route_needs_token(service: Service, route: Any) -> None:
    target = re.sub(r"\{\w+\}", "77001", route.path)
    found = status(service, target, "Content-Length: 0", method=route.method)
    assert found == (200 if route.scope is None else 401)


def test_logs_hold_no_token_and_no_key(service: Service) -> None:
    # The last test of the module: the logs have the requests of all others.
    written = "".join(
        path.read_text(errors="replace")
        for path in (service.folder / "logs").rglob("*")
        if path.is_file()
    )
    assert "tester" in written
    assert "/v1/samples" in written
    assert CURRENT not in written
    assert PREVIOUS not in written
    assert not re.search(r"eyJ[\w-]{8,}", written)
