"""The common part of an instance and a cluster: private, encrypted, TLS only, no password.

The administrator logs in by IAM from the start, so ``migrate`` can create the service's own user.
There is no password that could leak, or that a function in the VPC would need an endpoint to read.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import TYPE_CHECKING, TypedDict

import jsii
from aws_cdk import CfnDeletionPolicy, CfnResource, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.build.layer import CERTIFICATES_IN_LAYER
from infra.constructs.database.reachable import ADMINISTRATOR, Limit, login_settings, user_arn
from infra.constructs.findings import accept
from infra.constructs.monitoring.logs import log_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.constructs.function import SiteFunction
    from infra.constructs.network import Network
    from infra.site.config import Site

CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"

PARAMETERS = {
    "rds.force_ssl": "1",
    # A Lambda environment that is frozen within a transaction must not keep its locks.
    "idle_in_transaction_session_timeout": "60000",
    # Without a proxy, each session sets these too. RDS Proxy pins a connection to a client that
    # sets something, so behind the proxy the defaults must be right already.
    "timezone": "UTC",
    "jit": "0",
}
"""Parameters of PostgreSQL on every site."""


class ProxyTarget(TypedDict, total=False):
    """The properties by which a proxy's target group names a database."""

    db_instance_identifiers: list[str]
    db_cluster_identifiers: list[str]


class SharedProperties(TypedDict):
    """The CloudFormation properties that instances and clusters have in common."""

    master_username: str | None
    master_user_authentication_type: str | None
    enable_iam_database_authentication: bool
    engine_version: str
    storage_encrypted: bool
    backup_retention_period: int
    copy_tags_to_snapshot: bool
    delete_automated_backups: bool
    deletion_protection: bool
    enable_cloudwatch_logs_exports: list[str]
    db_subnet_group_name: str


class Database(Construct, metaclass=jsii.JSIIAbstractClass):
    """A database of RDS: an instance or a cluster."""

    def __init__(self, scope: Construct, name: str, *, site: Site, network: Network) -> None:
        super().__init__(scope, name)
        self.site = site
        self.network = network
        self.label = name_of(site)

    @property
    @abstractmethod
    def host(self) -> str:
        """The address that clients connect to."""

    @property
    @abstractmethod
    def resource_id(self) -> str:
        """The database's id in IAM policies."""

    @property
    @abstractmethod
    def dimensions(self) -> dict[str, str]:
        """The database's dimensions in CloudWatch."""

    @property
    @abstractmethod
    def limits(self) -> Sequence[Limit]:
        """The metrics to watch."""

    @abstractmethod
    def as_target(self) -> ProxyTarget:
        """Return the properties by which a proxy's target group names it."""

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a function that logs in as the service's user."""
        return login_settings(self.host, certificates=CERTIFICATES_IN_LAYER)

    @property
    def administration(self) -> dict[str, str]:
        """The user that may create the service's user."""
        return {"DB_ADMIN_USER": ADMINISTRATOR}

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Allow the function to log in as these users, by IAM."""
        function.may(["rds-db:connect"], [user_arn(self, self.resource_id, user) for user in users])

    def metric(self, name: str) -> cloudwatch.Metric:
        """Return one of RDS's metrics of this database: averages of five minutes."""
        return cloudwatch.Metric(
            namespace="AWS/RDS",
            metric_name=name,
            dimensions_map=self.dimensions,
            period=Duration.minutes(5),
            statistic="Average",
        )

    @property
    def load_limits(self) -> Sequence[Limit]:
        """The metrics that are watched on instances and clusters alike."""
        connections = self.site.database.max_connections * 8 // 10
        return (
            Limit(
                name="CPUUtilization",
                metric=self.metric("CPUUtilization"),
                threshold=80,
                description="more than 80 % CPU for half an hour",
            ),
            Limit(
                name="DatabaseConnections",
                metric=self.metric("DatabaseConnections"),
                threshold=connections,
                description=f"more than {connections} connections (80 % of max_connections) "
                "for half an hour",
            ),
        )

    def _if_new(self, value: str) -> str | None:
        """Return a property that RDS accepts only for a database without a snapshot to restore."""
        return None if self.site.database.restore_from else value

    @property
    def _automatic_minor_versions(self) -> bool:
        """Whether RDS installs minor versions: not if the site names one."""
        return "." not in self.site.database.postgres

    @property
    def _major_version(self) -> str:
        return self.site.database.postgres.partition(".")[0]

    def _shared_properties(self) -> SharedProperties:
        """Return the properties: encrypted, backed up, in private subnets, open to IAM alone."""
        options = self.site.database
        subnets = rds.CfnDBSubnetGroup(
            self,
            "Subnets",
            db_subnet_group_description="Where PostgreSQL is",
            subnet_ids=[subnet.subnet_id for subnet in self.network.vpc.isolated_subnets],
        )
        return SharedProperties(
            master_username=self._if_new(ADMINISTRATOR),
            master_user_authentication_type=self._if_new("iam-db-auth"),
            enable_iam_database_authentication=True,
            engine_version=options.postgres,
            storage_encrypted=True,
            backup_retention_period=options.backup_days,
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=options.deletion_protection,
            enable_cloudwatch_logs_exports=["postgresql"],
            db_subnet_group_name=subnets.ref,
        )

    def _keep(self, database: CfnResource, *, kind: str) -> None:
        """Snapshot the database before it is deleted or replaced, and let its logs expire."""
        database.cfn_options.deletion_policy = CfnDeletionPolicy.SNAPSHOT
        database.cfn_options.update_replace_policy = CfnDeletionPolicy.SNAPSHOT
        path = f"/aws/rds/{kind}/{self.label}/postgresql"
        # RDS creates a missing log group, and such a group never expires: ours has to be first.
        database.node.add_dependency(log_group(self, "Logs", site=self.site, path=path))
        if not self.site.database.deletion_protection:
            accept(database, "RDS10", because="the site's choice, for sites that come and go")


def name_of(site: Site) -> str:
    """Return the identifier of the site's database.

    CloudFormation replaces a database by creating the new one first. Since the name is fixed, that
    fails, and a database is never replaced by an empty one. A database that is restored from a
    snapshot has another name, so it can exist beside the one that it replaces.
    """
    source = site.database.restore_from
    if not source:
        return site.stack_name
    return f"{site.stack_name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
