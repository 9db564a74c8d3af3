"""RDS Proxy between the database and the functions behind the API, for sites that choose it.

Each environment of these functions holds a connection to the proxy, and the proxy needs far fewer
connections to the database. It hands a connection to another client only between transactions, and
only if the client changed nothing in the session. So functions behind the proxy set nothing: the
proxy's init query and the database's parameters do it for them.

The collector, retention and migrations connect to the database: they are few, and they use
temporary tables, which belong to a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from hpcobs.bootstrap import REQUEST_STATEMENT_TIMEOUT_SECONDS
from infra.build.layer import AMAZON_CERTIFICATES_IN_LAYER
from infra.constructs.database.reachable import USER, Limit, login_settings, user_arn
from infra.constructs.monitoring.logs import log_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.constructs.database.base import Database
    from infra.constructs.function import SiteFunction
    from infra.site.config import Site

BORROW_SECONDS = 5
"""How long a request waits for a connection if all are in use."""
SHARE_PERCENT = 80
"""The proxy's share of the database's connections. Collector, retention and people need others."""
# RDS Proxy's default.
IDLE_SECONDS = 1800


class Proxy(Construct):
    """The database's replacement for the functions behind the API. Both sides log in by IAM."""

    def __init__(self, scope: Construct, name: str, *, site: Site, database: Database) -> None:
        super().__init__(scope, name)
        self._database = database
        network = database.network
        self._proxy = rds.CfnDBProxy(
            self,
            "Proxy",
            db_proxy_name=site.stack_name,
            engine_family="POSTGRESQL",
            default_auth_scheme="IAM_AUTH",
            require_tls=True,
            idle_client_timeout=IDLE_SECONDS,
            role_arn=self._role().role_arn,
            vpc_subnet_ids=[subnet.subnet_id for subnet in network.vpc.isolated_subnets],
            vpc_security_group_ids=[network.add_proxy().security_group_id],
        )
        self._add_targets()
        path = f"/aws/rds/proxy/{site.stack_name}"
        self._proxy.node.add_dependency(log_group(self, "Logs", site=site, path=path))

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a function that logs in through the proxy."""
        # The proxy's certificate is issued by Amazon's public authorities, not by RDS's.
        settings = login_settings(
            self._proxy.attr_endpoint, certificates=AMAZON_CERTIFICATES_IN_LAYER
        )
        return {**settings, "DB_PROXY": "true"}

    @property
    def administration(self) -> dict[str, str]:
        """No settings: migrations connect to the database directly."""
        return {}

    @property
    def limits(self) -> Sequence[Limit]:
        """No metrics: those of the database are watched."""
        return ()

    @property
    def label(self) -> str:
        """The name of the database behind it."""
        return self._database.label

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Allow the function to log in as these users, by IAM."""
        # IAM names a proxy by its id, which only the ARN contains: arn:aws:rds:…:db-proxy:prx-….
        resource_id = Fn.select(6, Fn.split(":", self._proxy.attr_db_proxy_arn))
        function.may(["rds-db:connect"], [user_arn(self, resource_id, user) for user in users])

    def _role(self) -> iam.Role:
        service = cast("iam.IPrincipal", iam.ServicePrincipal("rds.amazonaws.com"))
        role = iam.Role(self, "Role", assumed_by=service)
        user = user_arn(self, self._database.resource_id, USER)
        role.add_to_policy(iam.PolicyStatement(actions=["rds-db:connect"], resources=[user]))
        return role

    def _add_targets(self) -> None:
        timeout_ms = int(REQUEST_STATEMENT_TIMEOUT_SECONDS * 1000)
        pool = rds.CfnDBProxyTargetGroup.ConnectionPoolConfigurationInfoFormatProperty(
            connection_borrow_timeout=BORROW_SECONDS,
            max_connections_percent=SHARE_PERCENT,
            init_query=f"SET statement_timeout = {timeout_ms}",
        )
        group = rds.CfnDBProxyTargetGroup(
            self,
            "Targets",
            db_proxy_name=self._proxy.ref,
            target_group_name="default",
            connection_pool_configuration_info=pool,
            **self._database.as_target(),
        )
        # A target can be registered only when the database is available.
        group.node.add_dependency(self._database)
