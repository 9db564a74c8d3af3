"""The site's database as a cluster of Aurora PostgreSQL: the same SQL, and storage without limit.

Storage is paid as it is used and never runs full. Instances are of a fixed class, or serverless:
then they grow and shrink between the site's limits, in Aurora capacity units of 2 GiB of memory.
"""

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

ENGINE = "aurora-postgresql"


class Cluster(Database):
    """A writer, and a second instance in another zone where ``multi_az`` asks for it."""

    def __init__(self, scope: Construct, name: str, *, site: Site, network: Network) -> None:
        super().__init__(scope, name, site=site, network=network)
        self._cluster = self._new_cluster()
        keep_what_is_in(self._cluster)
        path = f"/aws/rds/cluster/{self.label}/postgresql"
        self._cluster.node.add_dependency(log_group(self, "Logs", site=site, path=path))
        for number in range(2 if site.database.multi_az else 1):
            self._add_instance(number)
        if not site.database.deletion_protection:
            accept(self._cluster, "RDS10", because="the site's choice, for sites that come and go")

    @property
    def host(self) -> str:
        """Of the instance that writes, whichever that is."""
        return self._cluster.attr_endpoint_address

    @property
    def resource_id(self) -> str:
        """As IAM calls it."""
        return self._cluster.attr_db_cluster_resource_id

    @property
    def dimensions(self) -> dict[str, str]:
        """As CloudWatch names the instance that writes."""
        return {"DBClusterIdentifier": self._cluster.ref, "Role": "WRITER"}

    @property
    def limits(self) -> Sequence[Limit]:
        """Its processor and its connections; its capacity too, where that is limited."""
        if not self.site.database.serverless:
            return self.busy()
        capacity = Limit(
            name="ACUUtilization",
            metric=self.metric("ACUUtilization"),
            threshold=90,
            what="nine tenths of max_acu were in use for half an hour",
        )
        return (*self.busy(), capacity)

    def as_target(self) -> Target:
        """For a proxy."""
        return {"db_cluster_identifiers": [self._cluster.ref]}

    def _new_cluster(self) -> rds.CfnDBCluster:
        options = self.site.database
        return rds.CfnDBCluster(
            self,
            "Cluster",
            db_cluster_identifier=self.label,
            snapshot_identifier=options.restore_from or None,
            engine=ENGINE,
            **self.kept(),
            database_name=self.if_new(DATABASE),
            port=POSTGRES_PORT,
            db_cluster_parameter_group_name=self._parameters().ref,
            vpc_security_group_ids=[self.network.database.security_group_id],
            serverless_v2_scaling_configuration=rds.CfnDBCluster.ServerlessV2ScalingConfigurationProperty(
                min_capacity=options.min_acu, max_capacity=options.max_acu
            )
            if options.serverless
            else None,
        )

    def _add_instance(self, number: int) -> None:
        options = self.site.database
        rds.CfnDBInstance(
            self,
            f"Instance{number}",
            db_cluster_identifier=self._cluster.ref,
            engine=ENGINE,
            db_instance_identifier=f"{self.label}-{number}",
            db_instance_class=options.instance_class,
            auto_minor_version_upgrade="." not in options.postgres,
            ca_certificate_identifier=CERTIFICATE_AUTHORITY,
            enable_performance_insights=options.performance_insights,
            promotion_tier=number,
            publicly_accessible=False,
        )

    def _parameters(self) -> rds.CfnDBClusterParameterGroup:
        return rds.CfnDBClusterParameterGroup(
            self,
            # CloudFormation lets no resource become one of another type.
            "ClusterParameters",
            family=f"{ENGINE}{self.site.database.postgres.partition('.')[0]}",
            description=f"PostgreSQL of {self.site.stack_name}",
            parameters=dict(SETTINGS),
        )
