"""PostgreSQL: private, encrypted, over TLS only, and without any password.

The administrator logs in by IAM from the first minute on, which is how ``migrate`` makes the
service's own user. No secret exists that could leak, or that would need an endpoint to be read.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypedDict

import jsii
from aws_cdk import CfnDeletionPolicy, CfnResource, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.layer import CERTIFICATES_IN_LAYER
from infra.network import POSTGRES_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.function import SiteFunction
    from infra.network import Network
    from infra.site import Site

DATABASE = "hpcobs"
USER = "hpcobs"
ADMINISTRATOR = "hpcobs_admin"

CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"

SETTINGS = {
    "rds.force_ssl": "1",
    # A Lambda environment that is frozen within a transaction must not hold its locks.
    "idle_in_transaction_session_timeout": "60000",
    # What each session sets for itself, for those that a proxy hands around.
    "timezone": "UTC",
    "jit": "0",
}
"""Parameters of PostgreSQL on every site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Something of a database that is shown, and from where on somebody is told."""

    name: str
    metric: cloudwatch.Metric
    threshold: float
    what: str
    above: bool = True


class Target(TypedDict, total=False):
    """How a proxy's target group names a database."""

    db_instance_identifiers: list[str]
    db_cluster_identifiers: list[str]


class Kept(TypedDict):
    """How either kind of database is kept safe."""

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


class ReachableDatabase(Protocol):
    """What functions need of a database, and what is watched of it."""

    @property
    def environment(self) -> dict[str, str]:
        """How a function reaches it as the service's user."""
        ...

    @property
    def administration(self) -> dict[str, str]:
        """What ``migrate`` needs besides."""
        ...

    @property
    def limits(self) -> Sequence[Limit]:
        """What is watched."""
        ...

    @property
    def label(self) -> str:
        """What it is called; another name is another database."""
        ...

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Let the function log in as these users."""
        ...


class Database(Construct, metaclass=jsii.JSIIAbstractClass):
    """A database of RDS, whichever kind the site chose."""

    def __init__(self, scope: Construct, name: str, *, site: Site, network: Network) -> None:
        super().__init__(scope, name)
        self.site = site
        self.network = network
        self.label = name_of(site)

    @property
    @abstractmethod
    def host(self) -> str:
        """Where it answers."""

    @property
    @abstractmethod
    def resource_id(self) -> str:
        """What IAM calls it."""

    @property
    @abstractmethod
    def limits(self) -> Sequence[Limit]:
        """What is watched of it."""

    @abstractmethod
    def as_target(self) -> Target:
        """How a proxy's target group names it."""

    @property
    def environment(self) -> dict[str, str]:
        """How a function reaches the database as the service's user."""
        return reached_at(self.host, CERTIFICATES_IN_LAYER)

    @property
    def administration(self) -> dict[str, str]:
        """Who may make the service's user."""
        return {"DB_ADMIN_USER": ADMINISTRATOR}

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Let the function log in as these users, by IAM."""
        function.may(["rds-db:connect"], [user_arn(self, self.resource_id, user) for user in users])

    def if_new(self, value: str) -> str | None:
        """A property that only a database has that begins empty."""
        return None if self.site.database.restore_from else value

    def kept(self) -> Kept:
        """Encrypted, backed up, in private subnets, and open to IAM alone."""
        options = self.site.database
        subnets = rds.CfnDBSubnetGroup(
            self,
            "Subnets",
            db_subnet_group_description="Where PostgreSQL is",
            subnet_ids=[subnet.subnet_id for subnet in self.network.vpc.isolated_subnets],
        )
        return Kept(
            master_username=self.if_new(ADMINISTRATOR),
            master_user_authentication_type=self.if_new("iam-db-auth"),
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

    def metric(self, name: str) -> cloudwatch.Metric:
        """One of RDS's metrics of it."""
        return cloudwatch.Metric(
            namespace="AWS/RDS",
            metric_name=name,
            dimensions_map=self.dimensions,
            period=Duration.minutes(5),
            statistic="Average",
        )

    @property
    @abstractmethod
    def dimensions(self) -> dict[str, str]:
        """How CloudWatch names it."""

    def busy(self) -> Sequence[Limit]:
        """What every kind is watched for."""
        connections = self.site.database.max_connections * 8 // 10
        return (
            Limit(
                name="CPUUtilization",
                metric=self.metric("CPUUtilization"),
                threshold=80,
                what="its processor was 80 % busy for half an hour",
            ),
            Limit(
                name="DatabaseConnections",
                metric=self.metric("DatabaseConnections"),
                threshold=connections,
                what=f"more than {connections} connections, four fifths of max_connections",
            ),
        )


def name_of(site: Site) -> str:
    """The identifier of the site's database.

    A name of its own keeps CloudFormation from ever replacing a database by an empty one: the new
    one could not have the same name. One that is restored from a backup has another name, so that
    it can stand beside the one that it replaces.
    """
    source = site.database.restore_from
    if not source:
        return site.stack_name
    return f"{site.stack_name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def keep_what_is_in(database: CfnResource) -> None:
    """Have a last snapshot taken of what is deleted or replaced."""
    database.cfn_options.deletion_policy = CfnDeletionPolicy.SNAPSHOT
    database.cfn_options.update_replace_policy = CfnDeletionPolicy.SNAPSHOT


def reached_at(host: str, certificates: str) -> dict[str, str]:
    """The settings of functions that log in there as the service's user."""
    return {
        "DB_HOST": host,
        "DB_PORT": str(POSTGRES_PORT),
        "DB_NAME": DATABASE,
        "DB_USER": USER,
        "DB_IAM_AUTH": "true",
        "PGSSLROOTCERT": certificates,
    }


def user_arn(scope: Construct, resource_id: str, user: str) -> str:
    """What ``rds-db:connect`` is allowed on, for one user of a database or a proxy."""
    stack = Stack.of(scope)
    where = f"{stack.region}:{stack.account}"
    return f"arn:{stack.partition}:rds-db:{where}:dbuser:{resource_id}/{user}"
