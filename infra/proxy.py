"""RDS Proxy before the database, where the site asks for it: for the functions behind the API.

Each of their environments holds a connection to the proxy, which needs far fewer to the database.
It hands a connection on only between transactions that leave nothing in the session; what a session
would set, the proxy and the database's parameters set for it. The collector, retention and
migrations are few, use temporary tables, and go to the database itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from hpcobs.bootstrap import REQUEST_STATEMENT_TIMEOUT_SECONDS
from infra.database import USER, Limit, reached_at, user_arn
from infra.layer import AMAZON_CERTIFICATES_IN_LAYER
from infra.logs import log_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.database import Database
    from infra.function import SiteFunction
    from infra.site import Site

BORROW_SECONDS = 5
"""How long a request waits for a connection when all are in use."""
SHARE_PERCENT = 80
"""Of the database's connections; the others are for the collector, retention and people."""
IDLE_SECONDS = 1800


class Proxy(Construct):
    """What the functions behind the API reach in place of the database; by IAM to either side."""

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
        """Its certificate is one of Amazon's public ones, not RDS's."""
        reached = reached_at(self._proxy.attr_endpoint, AMAZON_CERTIFICATES_IN_LAYER)
        return {**reached, "DB_PROXY": "true"}

    @property
    def administration(self) -> dict[str, str]:
        """Nobody administrates through it."""
        return {}

    @property
    def limits(self) -> Sequence[Limit]:
        """The database itself is watched."""
        return ()

    @property
    def label(self) -> str:
        """The database behind it."""
        return self._database.label

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Let the function log in as these users, by IAM."""
        resource_id = Fn.select(6, Fn.split(":", self._proxy.attr_db_proxy_arn))
        function.may(["rds-db:connect"], [user_arn(self, resource_id, user) for user in users])

    def _role(self) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        log_in = user_arn(self, self._database.resource_id, USER)
        role.add_to_policy(iam.PolicyStatement(actions=["rds-db:connect"], resources=[log_in]))
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
        group.node.add_dependency(self._database)
