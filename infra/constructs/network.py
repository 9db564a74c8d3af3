"""The site's network: private subnets without a route to the internet, and the one endpoint.

Functions reach the database and, by the endpoint, SQS. The SDK signs IAM tokens for the database
locally, and Lambda delivers logs from outside the VPC, so neither needs an endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.findings import accept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk.aws_sqs import IQueue

    from infra.site.config import Site

# RDS requires subnets in two zones, even for one instance.
ZONES = 2
POSTGRES_PORT = 5432
QUEUE_ACTIONS = [
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
]


class Network(Construct):
    """A VPC with two isolated subnets, and the security groups in it."""

    def __init__(
        self, scope: Construct, name: str, *, site: Site, queues: Sequence[IQueue]
    ) -> None:
        super().__init__(scope, name)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(site.network.cidr),
            max_azs=ZONES,
            nat_gateways=0,
            create_internet_gateway=False,
            # The CDK would restrict it by another Lambda function, and nothing uses this group.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED
                )
            ],
        )
        accept(self.vpc, "VPC7", because="there is no route out of the VPC or into it")
        self.functions = self._group("Functions", "The functions that use the database")
        self.database = self._group("Database", "PostgreSQL")
        self.functions.connections.allow_to(
            self.database, ec2.Port.tcp(POSTGRES_PORT), "PostgreSQL over TLS"
        )
        self._queue_endpoint(site, queues)

    def add_proxy(self) -> ec2.SecurityGroup:
        """Return a new security group for a proxy between the functions and the database."""
        proxy = self._group("Proxy", "What hands connections to PostgreSQL around")
        postgres = ec2.Port.tcp(POSTGRES_PORT)
        self.functions.connections.allow_to(proxy, postgres, "PostgreSQL over TLS")
        proxy.connections.allow_to(self.database, postgres, "PostgreSQL over TLS")
        return proxy

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        # CloudFormation replaces a security group when its description changes.
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=description, allow_all_outbound=False
        )

    def _queue_endpoint(self, site: Site, queues: Sequence[IQueue]) -> None:
        group = self._group("QueueEndpoint", "The way to SQS")
        self.functions.connections.allow_to(group, ec2.Port.tcp(443), "SQS over TLS")
        endpoint = ec2.InterfaceVpcEndpoint(
            self,
            "Queue",
            vpc=self.vpc,
            service=ec2.InterfaceVpcEndpointAwsService.SQS,
            subnets=self._endpoint_subnets(multi_az=site.database.multi_az),
            security_groups=[group],
            open=False,
        )
        endpoint.add_to_policy(
            iam.PolicyStatement(
                principals=[cast("iam.IPrincipal", iam.AnyPrincipal())],
                actions=QUEUE_ACTIONS,
                resources=[queue.queue_arn for queue in queues],
            )
        )

    def _endpoint_subnets(self, *, multi_az: bool) -> ec2.SubnetSelection:
        """Return the endpoint's zones, which are billed: as many as the database has."""
        subnets = self.vpc.isolated_subnets
        return ec2.SubnetSelection(subnets=subnets if multi_az else subnets[:1])
