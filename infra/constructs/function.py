"""One Lambda function: its code, its log group, and a role with only the named permissions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.build.assets import function_code, handler_of
from infra.constructs.findings import accept
from infra.constructs.monitoring.logs import log_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.build.layer import Layer
    from infra.constructs.network import Network
    from infra.site.config import Site

INTERFACE_ACTIONS = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]
"""The actions that Lambda performs with the function's role to attach it to a VPC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The resources of one invocation. 1,769 MB come with one whole vCPU."""

    memory_mb: int
    timeout_seconds: int
    concurrency: int | None = None
    """How many may run at a time, reserved for this function; None means no limit."""


LIVE = "live"


class SiteFunction(Construct):
    """A function of the site, within the VPC if a network is given.

    Callers invoke ``entrance``. It is the function, or with ``snap_start`` an alias of its newest
    version, because Lambda makes snapshots of published versions only. The function's description
    contains the name of its ``database``, so that another database makes another version.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        site: Site,
        layer: Layer,
        size: Size,
        environment: Mapping[str, str],
        network: Network | None = None,
        database: str | None = None,
        snap_start: bool = False,
    ) -> None:
        super().__init__(scope, name)
        self.function_name = f"{site.stack_name}-{name}"
        logs = log_group(self, "Logs", site=site, path=f"/aws/lambda/{self.function_name}")
        # A cast, because this class of the CDK names parameters differently from its interface
        # (ADR 0023).
        service = cast("iam.IPrincipal", iam.ServicePrincipal("lambda.amazonaws.com"))
        self.role = iam.Role(self, "Role", assumed_by=service)
        self.may(["logs:CreateLogStream", "logs:PutLogEvents"], [logs.log_group_arn])
        if network is not None:
            self._may_join_network()
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=self.function_name,
            description=f"hpcobs: {name} of site {site.name}"
            + (f", database {database}" if database else ""),
            handler=handler_of(name),
            code=function_code(name, layer.target),
            layers=[layer.version],
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=size.memory_mb,
            timeout=Duration.seconds(size.timeout_seconds),
            reserved_concurrent_executions=size.concurrency,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
            role=cast("iam.IRole", self.role),
            log_group=logs,
            logging_format=lambda_.LoggingFormat.JSON,
            # At INFO, Lambda's own lines for each start and end would double the costs of logs.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            environment=dict(environment),
            **_placed_in(network),
        )
        self.entrance = self._newest_version() if snap_start else self._unpublished()
        accept(
            self.function,
            "L1",
            because="the packages are locked, compiled and tested for this version of Python",
        )

    def _unpublished(self) -> lambda_.IFunction:
        return cast("lambda_.IFunction", self.function)

    def _newest_version(self) -> lambda_.IFunction:
        version = cast("lambda_.IVersion", self.function.current_version)
        alias = lambda_.Alias(self, "Live", alias_name=LIVE, version=version)
        return cast("lambda_.IFunction", alias)

    def may(self, actions: Sequence[str], resources: Sequence[str]) -> None:
        """Allow the function's code ``actions`` on ``resources``."""
        self.role.add_to_policy(
            iam.PolicyStatement(actions=list(actions), resources=list(resources))
        )

    def _may_join_network(self) -> None:
        """Allow Lambda to create the function's network interfaces, but not the function's code.

        See "Security best practice" in the Lambda developer guide, "Giving functions access to
        resources in an Amazon VPC".
        """
        self.may(INTERFACE_ACTIONS, ["*"])
        own_code = Stack.of(self).format_arn(
            service="lambda", resource=f"function:{self.function_name}"
        )
        self.role.add_to_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=INTERFACE_ACTIONS,
                resources=["*"],
                conditions={"ArnEquals": {"lambda:SourceFunctionArn": own_code}},
            )
        )
        accept(
            self.role,
            "IAM5[Resource::*]",
            because="Lambda requires these actions on all resources; the function's own code is "
            "denied them by lambda:SourceFunctionArn",
        )


def _placed_in(network: Network | None) -> dict[str, Any]:
    if network is None:
        return {}
    subnets = ec2.SubnetSelection(subnets=network.vpc.isolated_subnets)
    return {"vpc": network.vpc, "vpc_subnets": subnets, "security_groups": [network.functions]}
