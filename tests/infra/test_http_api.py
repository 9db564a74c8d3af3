"""The HTTP API: the contract's routes, authorised as in the contract."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from hpcobs.http.routes import DEFAULT_ROUTE, ROUTES

if TYPE_CHECKING:
    from tests.infra.template import Properties, Template

OPEN = {"GET /v1/health", "GET /v1/docs", "GET /v1/openapi.json", DEFAULT_ROUTE}


@pytest.fixture
def routes(template: Template) -> dict[str, Properties]:
    return {route["RouteKey"]: route for route in template.all("ApiGatewayV2::Route")}


def test_routes_match_table(routes: dict[str, Properties]) -> None:
    assert routes.keys() == {route.key for route in ROUTES} | {DEFAULT_ROUTE}


def test_each_route_invokes_its_function(template: Template, routes: dict[str, Properties]) -> None:
    expected = {route.key: route.function for route in ROUTES} | {DEFAULT_ROUTE: "api"}
    for key, route in routes.items():
        integration = template.resources[route["Target"]["Fn::Join"][1][1]["Ref"]]["Properties"]
        function = template.referred(integration["IntegrationUri"])
        assert function == f"Functions/{expected[key]}/Function"
        assert integration["PayloadFormatVersion"] == "2.0"


def test_only_open_routes_lack_authorizer(
    routes: dict[str, Properties],
) -> None:
    unguarded = {key for key, route in routes.items() if route["AuthorizationType"] == "NONE"}
    assert unguarded == OPEN
    for key in routes.keys() - OPEN:
        assert routes[key]["AuthorizationType"] == "CUSTOM"
        assert "AuthorizerId" in routes[key]


def test_authorizer_decision_is_cached_by_token(template: Template) -> None:
    authorizer = template.one("ApiGatewayV2::Authorizer")
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["AuthorizerResultTtlInSeconds"] == 60
    assert authorizer["AuthorizerPayloadFormatVersion"] == "2.0"
    assert authorizer["EnableSimpleResponses"] is True


def test_gateway_invokes_only_functions_of_routes(template: Template) -> None:
    called = {
        template.referred(permission["FunctionName"]) for permission in _permissions(template)
    }
    functions = {route.function for route in ROUTES} | {"authorizer"}
    assert called == {f"Functions/{name}/Function" for name in functions}
    for permission in _permissions(template):
        assert {"Ref": _api(template)} in permission["SourceArn"]["Fn::Join"][1]


def _permissions(template: Template) -> list[Properties]:
    permissions = template.all("Lambda::Permission")
    return [one for one in permissions if one["Principal"] == "apigateway.amazonaws.com"]


def _api(template: Template) -> str:
    (name,) = [
        name
        for name, resource in template.resources.items()
        if resource["Type"] == "AWS::ApiGatewayV2::Api"
    ]
    return name


def test_open_routes_have_lower_limits(template: Template, other_template: Template) -> None:
    stage = other_template.one("ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": 1000,
        "ThrottlingBurstLimit": 2000,
    }
    stage = template.one("ApiGatewayV2::Stage")
    assert stage["RouteSettings"].keys() == OPEN
    for settings in stage["RouteSettings"].values():
        assert (
            settings["ThrottlingRateLimit"] < stage["DefaultRouteSettings"]["ThrottlingRateLimit"]
        )


def test_stage_is_created_after_limited_routes(template: Template) -> None:
    stage = template.resource("ApiGatewayV2::Stage")
    waits_for = {name.removeprefix("Gateway/") for name in template.depends_on(stage)}
    assert {key.replace("/", "--") for key in OPEN} <= waits_for


def test_access_log_contains_subject_but_no_token(template: Template) -> None:
    settings = template.one("ApiGatewayV2::Stage")["AccessLogSettings"]
    assert template.referred(settings["DestinationArn"]) == "Gateway/AccessLog"
    written = set(re.findall(r"\$context\.([\w.]+)", settings["Format"]))
    assert {"authorizer.subject", "routeKey", "status", "identity.sourceIp"} <= written
    assert json.loads(settings["Format"]).keys() >= {"request_id", "latency_ms"}
    assert not [name for name in written if "header" in name.lower() or "query" in name.lower()]
