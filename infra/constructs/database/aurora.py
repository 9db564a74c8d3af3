"""The site's database as an Aurora PostgreSQL cluster: the same SQL, without a limit on storage.

Storage is billed as used and never runs full. Instances have a fixed class or are serverless.
Serverless instances scale between the site's limits, in Aurora capacity units of 2 GiB of memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_rds as rds

from infra.constructs.database.base import CERTIFICATE_AUTHORITY, PARAMETERS, Database
from infra.constructs.database.reachable import DATABASE, Limit
from infra.constructs.network import POSTGRES_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from infra.constructs.database.base import ProxyTarget
    from infra.constructs.network import Network
    from infra.site.config import Site

ENGINE = "aurora-postgresql"


class Cluster(Database):
    """A writer, and with ``multi_az`` a second instance in another zone."""

    def __init__(self, scope: Construct, name: str, *, site: Site, network: Network) -> None:
        super().__init__(scope, name, site=site, network=network)
        self._cluster = self._new_cluster()
        self._keep(self._cluster, kind="cluster")
        for number in range(2 if site.database.multi_az else 1):
            self._add_instance(number)

    @property
    def host(self) -> str:
        """The cluster's endpoint, which follows the writer."""
        return self._cluster.attr_endpoint_address

    @property
    def resource_id(self) -> str:
        """The cluster's id in IAM policies."""
        return self._cluster.attr_db_cluster_resource_id

    @property
    def dimensions(self) -> dict[str, str]:
        """The writer's dimensions in CloudWatch."""
        return {"DBClusterIdentifier": self._cluster.ref, "Role": "WRITER"}

    @property
    def limits(self) -> Sequence[Limit]:
        """CPU and connections, and the capacity of a serverless cluster."""
        if not self.site.database.serverless:
            return self.load_limits
        capacity = Limit(
            name="ACUUtilization",
            metric=self.metric("ACUUtilization"),
            threshold=90,
            description="more than 90 % of max_acu in use for half an hour",
        )
        return (*self.load_limits, capacity)

    def as_target(self) -> ProxyTarget:
        """Return the properties by which a proxy's target group names the cluster."""
        return {"db_cluster_identifiers": [self._cluster.ref]}

    def _new_cluster(self) -> rds.CfnDBCluster:
        options = self.site.database
        return rds.CfnDBCluster(
            self,
            "Cluster",
            db_cluster_identifier=self.label,
            snapshot_identifier=options.restore_from or None,
            engine=ENGINE,
            **self._shared_properties(),
            database_name=self._if_new(DATABASE),
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
            auto_minor_version_upgrade=self._automatic_minor_versions,
            ca_certificate_identifier=CERTIFICATE_AUTHORITY,
            enable_performance_insights=options.performance_insights,
            promotion_tier=number,
            publicly_accessible=False,
        )

    def _parameters(self) -> rds.CfnDBClusterParameterGroup:
        return rds.CfnDBClusterParameterGroup(
            self,
            # Not "Parameters": a site can change its engine, and CloudFormation never changes the
            # type of a resource under the same logical id.
            "ClusterParameters",
            family=f"{ENGINE}{self._major_version}",
            description=f"PostgreSQL of {self.site.stack_name}",
            parameters=dict(PARAMETERS),
        )
