"""Attacks through the functions: no route opens without a token of its scope."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.auth.scopes import ADMIN, NODE_SCOPES, SCOPES, USER_SCOPES
from hpcobs.http.routes import ROUTES, Route
from tests.functions.attacks import LEAKS, bearer, path_of
from tests.functions.forgeries import HEADERS, TOKENS
from tests.functions.gateway import CONTRACT, SECRET, Gateway

if TYPE_CHECKING:
    from tests.functions.gateway import Answer

SCOPED = [route for route in ROUTES if route.scope is not None]
EVERY_ROUTE = pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
REFUSED = (401, 403)
CONTROLLERS = "POST /v1/events/jobs"
LOOKALIKES = (
    "{0}x", "x{0}", "{0}:", "ADMIN", "admin:", "*", "{0},admin", "jobs:*",
    "\N{FULLWIDTH LATIN SMALL LETTER A}dmin",
)  # fmt: skip


def ask(site: Gateway, route: Route, authorization: str | None, **options: Any) -> Answer:
    return site.send(route.method, path_of(route), authorization=authorization, **options)


@pytest.mark.parametrize("authorization", HEADERS.values(), ids=HEADERS)
def test_forged_token_is_rejected_and_not_repeated(
    shared_site: Gateway, authorization: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = shared_site.get("/v1/jobs", authorization=authorization)
    assert (answer.status, answer.error) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="hpcobs"'
    text = answer.body.decode()
    assert len(text) < 200
    assert not LEAKS.search(text)
    written = text + "".join(capfd.readouterr())
    assert SECRET not in written
    assert authorization.rpartition(" ")[2] not in written.split()
    assert not re.search(r"eyJ[\w-]{10}", written)


def test_forged_token_opens_no_route(shared_site: Gateway) -> None:
    for route in SCOPED:
        for name in ("of no algorithm", "of another key", "expired", "with scopes in a list"):
            assert ask(shared_site, route, f"Bearer {TOKENS[name]}").status == 401, route.key


@EVERY_ROUTE
def test_route_opens_to_its_scope_and_admins(shared_site: Gateway, route: Route) -> None:
    opened = {
        scope for scope in SCOPES if ask(shared_site, route, bearer(scope)).status not in REFUSED
    }
    assert opened == {route.scope, ADMIN}
    everything_else = " ".join(SCOPES - opened)
    assert ask(shared_site, route, bearer(everything_else)).status == 403


@EVERY_ROUTE
@pytest.mark.parametrize("lookalike", LOOKALIKES)
def test_lookalike_scope_opens_nothing(shared_site: Gateway, route: Route, lookalike: str) -> None:
    assert ask(shared_site, route, bearer(lookalike.format(route.scope))).status == 403


@EVERY_ROUTE
def test_contract_documents_security_of_route(route: Route) -> None:
    operation = CONTRACT["paths"][route.path][route.method.lower()]
    security = operation.get("security", CONTRACT.get("security"))
    assert security, route.key
    assert {"401", "403"} <= operation["responses"].keys()


@EVERY_ROUTE
@pytest.mark.parametrize("scope", [ADMIN, " ".join(sorted(SCOPES))])
def test_node_token_never_reads(shared_site: Gateway, route: Route, scope: str) -> None:
    status = ask(shared_site, route, bearer(scope, node="n1")).status
    of_nodes = route.scope in NODE_SCOPES and route.key != CONTROLLERS
    assert (status in REFUSED) == (not of_nodes)


@EVERY_ROUTE
def test_user_token_opens_jobs_routes_only(shared_site: Gateway, route: Route) -> None:
    status = ask(shared_site, route, bearer(user="ada")).status
    assert (status in REFUSED) == (route.scope not in USER_SCOPES)


@EVERY_ROUTE
def test_token_of_node_and_user_opens_nothing(shared_site: Gateway, route: Route) -> None:
    assert ask(shared_site, route, bearer(user="ada", node="n1")).status == 403
