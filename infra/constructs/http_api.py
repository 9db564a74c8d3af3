"""The HTTP API: the routes of ``hpcobs.http.routes``, their authorizer, and a stage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from constructs import Construct

from hpcobs.auth.principal import VERDICT_SECONDS
from hpcobs.http.routes import DEFAULT_ROUTE, ROUTES
from infra.constructs.domain import Domain
from infra.constructs.findings import accept
from infra.constructs.monitoring.logs import log_group

if TYPE_CHECKING:
    from infra.constructs.functions import Functions
    from infra.site.config import Site

OPEN_REQUESTS_PER_SECOND = 20
"""The limit of each route without a token: enough for health checks and readers."""
OPEN_BURST = 40

# Headers and query strings are not logged, because they can contain a token.
ACCESS_LOG = {
    "time": "$context.requestTime",
    "request_id": "$context.requestId",
    "ip": "$context.identity.sourceIp",
    "subject": "$context.authorizer.subject",
    "route": "$context.routeKey",
    "path": "$context.path",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "latency_ms": "$context.responseLatency",
    "integration_latency_ms": "$context.integrationLatency",
    "error": "$context.error.message",
    "integration_error": "$context.integrationErrorMessage",
    "authorizer_error": "$context.authorizer.error",
}


class HttpApi(Construct):
    """The only part of a site that is reachable from the internet."""

    def __init__(self, scope: Construct, name: str, *, site: Site, functions: Functions) -> None:
        super().__init__(scope, name)
        self.api = apigateway.HttpApi(
            self,
            "Api",
            api_name=site.stack_name,
            create_default_stage=False,
            # API Gateway's own name does not require a client certificate, so callers could use it
            # to avoid the check of the site's own name.
            disable_execute_api_endpoint=True if site.client_ca else None,
        )
        self.access_log = log_group(
            self, "AccessLog", site=site, path=f"/aws/vendedlogs/{site.stack_name}/access"
        )
        self._integrations = {
            name: integrations.HttpLambdaIntegration(name, function.entrance)
            for name, function in functions.all.items()
        }
        open_routes = self._add_routes(functions)
        stage = self._add_stage(site, open_routes)
        self.url = self._url(site, stage)

    def _url(self, site: Site, stage: apigateway.CfnStage) -> str:
        if not site.domain.name:
            return self.api.api_endpoint
        Domain(self, "Domain", site=site, api_id=self.api.api_id, stage=stage)
        return f"https://{site.domain.name}"

    def _add_routes(self, functions: Functions) -> dict[str, apigateway.HttpRoute]:
        """Add the table's routes and ``$default``. Return those without an authorizer, by key."""
        authorizer = authorizers.HttpLambdaAuthorizer(
            "Authorizer",
            functions.authorizer.entrance,
            response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
            identity_source=["$request.header.Authorization"],
            results_cache_ttl=Duration.seconds(VERDICT_SECONDS),
        )
        open_routes = {}
        for route in ROUTES:
            method = apigateway.HttpMethod[route.method]
            key = apigateway.HttpRouteKey.with_(route.path, method)
            guard = authorizer if route.scope else None
            added = self._add_route(route.key, key, route.function, guard)
            if guard is None:
                open_routes[route.key] = added
        default = apigateway.HttpRouteKey.DEFAULT
        open_routes[DEFAULT_ROUTE] = self._add_route(DEFAULT_ROUTE, default, "api", None)
        for name, added in open_routes.items():
            what = "returns 404 and 405" if name == DEFAULT_ROUTE else "is open by the contract"
            accept(added, "APIG4", because=f"{name} {what}, and returns nothing about jobs")
        return open_routes

    def _add_route(
        self,
        name: str,
        key: apigateway.HttpRouteKey,
        function: str,
        guard: authorizers.HttpLambdaAuthorizer | None,
    ) -> apigateway.HttpRoute:
        return apigateway.HttpRoute(
            self,
            name,
            http_api=self.api,
            route_key=key,
            integration=self._integrations[function],
            authorizer=guard,
        )

    def _add_stage(
        self, site: Site, open_routes: dict[str, apigateway.HttpRoute]
    ) -> apigateway.CfnStage:
        route_settings = {
            "ThrottlingRateLimit": OPEN_REQUESTS_PER_SECOND,
            "ThrottlingBurstLimit": OPEN_BURST,
        }
        stage = apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=site.gateway.requests_per_second,
                throttling_burst_limit=site.gateway.burst,
            ),
            route_settings=dict.fromkeys(open_routes, route_settings),
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=self.access_log.log_group_arn, format=json.dumps(ACCESS_LOG)
            ),
        )
        # API Gateway rejects a stage with settings for a route that does not exist yet.
        stage.node.add_dependency(*open_routes.values())
        return stage
