"""The site's database as one instance of RDS for PostgreSQL, with a standby where asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_rds as rds

from infra.database import (
    CERTIFICATE_AUTHORITY,
    DATABASE,
    SETTINGS,
    Database,
    Limit,
    keep_what_is_in,
)
from infra.findings import accept
from infra.logs import log_group
from infra.network import POSTGRES_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from infra.database import Target
    from infra.network import Network
    from infra.site import Site

GIGABYTE = 1024**3


class Instance(Database):
    """One instance; its disk grows by itself up to the site's limit."""

    def __init__(self, scope: Construct, name: str, *, site: Site, network: Network) -> None:
        super().__init__(scope, name, site=site, network=network)
        self._instance = self._new_instance()
        keep_what_is_in(self._instance)
        path = f"/aws/rds/instance/{self.label}/postgresql"
        # RDS would make the log group by itself, to be kept for ever.
        self._instance.node.add_dependency(log_group(self, "Logs", site=site, path=path))
        self._accept()

    @property
    def host(self) -> str:
        """Its address."""
        return self._instance.attr_endpoint_address

    @property
    def resource_id(self) -> str:
        """As IAM calls it."""
        return self._instance.attr_dbi_resource_id

    @property
    def dimensions(self) -> dict[str, str]:
        """As CloudWatch names it."""
        return {"DBInstanceIdentifier": self._instance.ref}

    @property
    def limits(self) -> Sequence[Limit]:
        """Its processor, its connections, and its disk."""
        disk = Limit(
            name="FreeStorageSpace",
            metric=self.metric("FreeStorageSpace"),
            threshold=self.site.database.storage_gb * GIGABYTE // 10,
            above=False,
            what="nearly all of its storage is used, and it does not grow any more",
        )
        return (*self.busy(), disk)

    def as_target(self) -> Target:
        """For a proxy."""
        return {"db_instance_identifiers": [self._instance.ref]}

    def _new_instance(self) -> rds.CfnDBInstance:
        options = self.site.database
        return rds.CfnDBInstance(
            self,
            "Instance",
            db_instance_identifier=self.label,
            db_snapshot_identifier=options.restore_from or None,
            engine="postgres",
            **self.kept(),
            auto_minor_version_upgrade="." not in options.postgres,
            allow_major_version_upgrade=False,
            db_instance_class=options.instance_class,
            db_name=self.if_new(DATABASE),
            port=str(POSTGRES_PORT),
            ca_certificate_identifier=CERTIFICATE_AUTHORITY,
            db_parameter_group_name=self._parameters().ref,
            vpc_security_groups=[self.network.database.security_group_id],
            publicly_accessible=False,
            multi_az=options.multi_az,
            storage_type="gp3",
            allocated_storage=str(options.storage_gb),
            max_allocated_storage=options.max_storage_gb,
            enable_performance_insights=options.performance_insights,
        )

    def _parameters(self) -> rds.CfnDBParameterGroup:
        options = self.site.database
        return rds.CfnDBParameterGroup(
            self,
            "Parameters",
            family=f"postgres{options.postgres.partition('.')[0]}",
            description=f"PostgreSQL of {self.site.stack_name}",
            parameters={**SETTINGS, "max_connections": str(options.max_connections)},
        )

    def _accept(self) -> None:
        accept(
            self._instance,
            "RDS11",
            because="security groups let only the functions in; another port would hide nothing",
        )
        if not self.site.database.multi_az:
            accept(
                self._instance,
                "RDS3",
                because="the site's choice: half the price; samples wait in the queue meanwhile",
            )
        if not self.site.database.deletion_protection:
            accept(self._instance, "RDS10", because="the site's choice, for sites that come and go")
