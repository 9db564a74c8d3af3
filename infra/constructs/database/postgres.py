"""The site's database as one instance of RDS for PostgreSQL, optionally with a standby."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_rds as rds

from infra.constructs.database.base import CERTIFICATE_AUTHORITY, PARAMETERS, Database
from infra.constructs.database.reachable import DATABASE, Limit
from infra.constructs.findings import accept
from infra.constructs.network import POSTGRES_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from infra.constructs.database.base import ProxyTarget
    from infra.constructs.network import Network
    from infra.site.config import Site

GIGABYTE = 1024**3


class Instance(Database):
    """One instance. Its storage grows up to the site's limit."""

    def __init__(self, scope: Construct, name: str, *, site: Site, network: Network) -> None:
        super().__init__(scope, name, site=site, network=network)
        self._instance = self._new_instance()
        self._keep(self._instance, kind="instance")
        self._accept_findings()

    @property
    def host(self) -> str:
        """The instance's address."""
        return self._instance.attr_endpoint_address

    @property
    def resource_id(self) -> str:
        """The instance's id in IAM policies."""
        return self._instance.attr_dbi_resource_id

    @property
    def dimensions(self) -> dict[str, str]:
        """The instance's dimensions in CloudWatch."""
        return {"DBInstanceIdentifier": self._instance.ref}

    @property
    def limits(self) -> Sequence[Limit]:
        """CPU, connections and free storage."""
        storage = Limit(
            name="FreeStorageSpace",
            metric=self.metric("FreeStorageSpace"),
            # RDS enlarges the storage when less than 10 % is free, so staying below means that
            # it has reached max_storage_gb.
            threshold=self.site.database.storage_gb * GIGABYTE // 10,
            above=False,
            description="storage is nearly full and no longer grows: increase max_storage_gb",
        )
        return (*self.load_limits, storage)

    def as_target(self) -> ProxyTarget:
        """Return the properties by which a proxy's target group names the instance."""
        return {"db_instance_identifiers": [self._instance.ref]}

    def _new_instance(self) -> rds.CfnDBInstance:
        options = self.site.database
        return rds.CfnDBInstance(
            self,
            "Instance",
            db_instance_identifier=self.label,
            db_snapshot_identifier=options.restore_from or None,
            engine="postgres",
            **self._shared_properties(),
            auto_minor_version_upgrade=self._automatic_minor_versions,
            allow_major_version_upgrade=False,
            db_instance_class=options.instance_class,
            db_name=self._if_new(DATABASE),
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
            family=f"postgres{self._major_version}",
            description=f"PostgreSQL of {self.site.stack_name}",
            parameters={**PARAMETERS, "max_connections": str(options.max_connections)},
        )

    def _accept_findings(self) -> None:
        accept(
            self._instance,
            "RDS11",
            because="security groups admit only the functions; another port would hide nothing",
        )
        if not self.site.database.multi_az:
            accept(
                self._instance,
                "RDS3",
                because="the site's choice: half the price; samples wait in the queue meanwhile",
            )
