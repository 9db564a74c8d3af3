"""PostgreSQL on RDS: private, encrypted, over TLS only, and without any password.

The administrator logs in by IAM from the first minute on, which is how ``migrate`` makes the
service's own user. No secret exists that could leak, or that would need an endpoint to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aws_cdk import CfnDeletionPolicy, Stack
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.findings import accept
from infra.layer import CERTIFICATES_IN_LAYER
from infra.logs import log_group
from infra.network import POSTGRES_PORT

if TYPE_CHECKING:
    from infra.function import SiteFunction
    from infra.network import Network
    from infra.site import Site

DATABASE = "hpcobs"
USER = "hpcobs"
ADMINISTRATOR = "hpcobs_admin"


class ReachableDatabase(Protocol):
    """What functions need of a database."""

    @property
    def environment(self) -> dict[str, str]:
        """How a function reaches it as the service's user."""
        ...

    @property
    def administration(self) -> dict[str, str]:
        """What ``migrate`` needs besides."""
        ...

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Let the function log in as these users."""
        ...


class Database(Construct):
    """The instance, and what functions need to know to reach it."""

    def __init__(self, scope: Construct, name: str, *, site: Site, network: Network) -> None:
        super().__init__(scope, name)
        self.instance = self._instance(site, network)
        logs = log_group(
            self,
            "Logs",
            site=site,
            path=f"/aws/rds/instance/{site.stack_name}/postgresql",
        )
        # RDS would make the log group by itself, to be kept for ever.
        self.instance.node.add_dependency(logs)
        accept(
            self.instance,
            "RDS11",
            because="security groups let only the functions in; another port would hide nothing",
        )
        if not site.database.multi_az:
            accept(
                self.instance,
                "RDS3",
                because="the site's choice: half the price; samples wait in the queue meanwhile",
            )
        if not site.database.deletion_protection:
            accept(self.instance, "RDS10", because="the site's choice, for sites that come and go")

    @property
    def environment(self) -> dict[str, str]:
        """How a function reaches the database as the service's user."""
        return {
            "DB_HOST": self.instance.attr_endpoint_address,
            "DB_PORT": str(POSTGRES_PORT),
            "DB_NAME": DATABASE,
            "DB_USER": USER,
            "DB_IAM_AUTH": "true",
            "PGSSLROOTCERT": CERTIFICATES_IN_LAYER,
        }

    @property
    def administration(self) -> dict[str, str]:
        """Who may make the service's user."""
        return {"DB_ADMIN_USER": ADMINISTRATOR}

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Let the function log in as these users, by IAM."""
        function.may(["rds-db:connect"], [self.user_arn(user) for user in users])

    def user_arn(self, user: str) -> str:
        """What ``rds-db:connect`` is allowed on, for one user of the database."""
        stack = Stack.of(self)
        resource = self.instance.attr_dbi_resource_id
        return (
            f"arn:{stack.partition}:rds-db:{stack.region}:{stack.account}:dbuser:{resource}/{user}"
        )

    def _instance(self, site: Site, network: Network) -> rds.CfnDBInstance:
        options = site.database
        instance = rds.CfnDBInstance(
            self,
            "Instance",
            # A name of its own also keeps CloudFormation from ever replacing it by an empty one.
            db_instance_identifier=site.stack_name,
            engine="postgres",
            engine_version=options.postgres,
            auto_minor_version_upgrade="." not in options.postgres,
            allow_major_version_upgrade=False,
            db_instance_class=options.instance_class,
            db_name=DATABASE,
            port=str(POSTGRES_PORT),
            master_username=ADMINISTRATOR,
            master_user_authentication_type="iam-db-auth",
            enable_iam_database_authentication=True,
            ca_certificate_identifier="rds-ca-rsa2048-g1",
            db_parameter_group_name=self._parameters(site).ref,
            db_subnet_group_name=self._subnets(network).ref,
            vpc_security_groups=[network.database.security_group_id],
            publicly_accessible=False,
            multi_az=options.multi_az,
            storage_type="gp3",
            storage_encrypted=True,
            allocated_storage=str(options.storage_gb),
            max_allocated_storage=options.max_storage_gb,
            backup_retention_period=options.backup_days,
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=options.deletion_protection,
            enable_performance_insights=options.performance_insights,
            enable_cloudwatch_logs_exports=["postgresql"],
        )
        instance.cfn_options.deletion_policy = CfnDeletionPolicy.SNAPSHOT
        instance.cfn_options.update_replace_policy = CfnDeletionPolicy.SNAPSHOT
        return instance

    def _parameters(self, site: Site) -> rds.CfnDBParameterGroup:
        return rds.CfnDBParameterGroup(
            self,
            "Parameters",
            family=f"postgres{site.database.postgres.partition('.')[0]}",
            description=f"PostgreSQL of {site.stack_name}",
            parameters={
                "rds.force_ssl": "1",
                "max_connections": str(site.database.max_connections),
                # A Lambda environment that is frozen within a transaction must not hold its locks.
                "idle_in_transaction_session_timeout": "60000",
            },
        )

    def _subnets(self, network: Network) -> rds.CfnDBSubnetGroup:
        return rds.CfnDBSubnetGroup(
            self,
            "Subnets",
            db_subnet_group_description="Where PostgreSQL is",
            subnet_ids=[subnet.subnet_id for subnet in network.vpc.isolated_subnets],
        )
