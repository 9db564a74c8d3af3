"""Only the API is reachable from outside, and nothing inside reaches the internet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.needs import actions_of
from tests.infra.template import listed

if TYPE_CHECKING:
    from tests.infra.template import Template

CLOSED = "255.255.255.255/32"
"""The rule that the CDK writes for a security group without outbound traffic."""


@pytest.mark.parametrize(
    "kind",
    ["InternetGateway", "NatGateway", "EgressOnlyInternetGateway", "Route", "EIP", "VPCPeering"],
)
def test_vpc_has_no_gateways(template: Template, kind: str) -> None:
    assert template.all(f"EC2::{kind}") == []


def test_subnets_assign_no_public_addresses(template: Template) -> None:
    subnets = template.all("EC2::Subnet")
    assert [subnet["MapPublicIpOnLaunch"] for subnet in subnets] == [False, False]


def test_zones_are_resolved_on_deployment(template: Template) -> None:
    zones = [subnet["AvailabilityZone"] for subnet in template.all("EC2::Subnet")]
    assert zones == [{"Fn::Select": [index, {"Fn::GetAZs": ""}]} for index in (0, 1)]


def test_security_groups_contain_no_addresses(template: Template) -> None:
    for group in template.all("EC2::SecurityGroup"):
        assert group.get("SecurityGroupIngress", []) == []
        assert {rule["CidrIp"] for rule in group.get("SecurityGroupEgress", [])} <= {CLOSED}


def test_only_functions_reach_database_and_queue(template: Template) -> None:
    into = {
        (
            template.referred(rule["SourceSecurityGroupId"]),
            template.referred(rule["GroupId"]),
            rule["FromPort"],
            rule["ToPort"],
        )
        for rule in template.all("EC2::SecurityGroupIngress")
    }
    out_of = {
        (
            template.referred(rule["GroupId"]),
            template.referred(rule["DestinationSecurityGroupId"]),
            rule["FromPort"],
            rule["ToPort"],
        )
        for rule in template.all("EC2::SecurityGroupEgress")
    }
    functions = "Network/Functions"
    allowed = {
        (functions, "Network/Database", 5432, 5432),
        (functions, "Network/QueueEndpoint", 443, 443),
    }
    assert into == out_of == allowed


def test_endpoint_allows_only_own_queues(template: Template) -> None:
    endpoint = template.one("EC2::VPCEndpoint")
    assert endpoint["ServiceName"] == "com.amazonaws.eu-central-1.sqs"
    assert endpoint["PrivateDnsEnabled"] is True
    (statement,) = endpoint["PolicyDocument"]["Statement"]
    queues = {template.referred(arn) for arn in statement["Resource"]}
    assert queues == {"Samples/Samples", "Samples/DeadLetters"}


def test_endpoint_allows_actions_of_its_functions(template: Template) -> None:
    (statement,) = template.one("EC2::VPCEndpoint")["PolicyDocument"]["Statement"]
    behind = [name for name, one in template.functions().items() if "VpcConfig" in one]
    needed = {action for name in behind for action in actions_of(name) if "sqs:" in action}
    assert set(statement["Action"]) == needed


def test_endpoint_has_zones_of_database(template: Template, other_template: Template) -> None:
    assert len(template.one("EC2::VPCEndpoint")["SubnetIds"]) == 1
    assert len(other_template.one("EC2::VPCEndpoint")["SubnetIds"]) == 2


def test_cidr_follows_site_option(other_template: Template) -> None:
    assert other_template.one("EC2::VPC")["CidrBlock"] == "10.9.0.0/20"


def test_api_is_only_public_entry(template: Template) -> None:
    assert template.all("Lambda::Url") == []
    assert template.all("S3::Bucket") == []
    assert {one["Principal"] for one in template.all("Lambda::Permission")} == {
        "apigateway.amazonaws.com",
        "secretsmanager.amazonaws.com",
    }


def test_no_resource_policy_is_public(template: Template) -> None:
    kinds = ("SQS::QueuePolicy", "SNS::TopicPolicy", "SecretsManager::ResourcePolicy")
    for policy in (policy for kind in kinds for policy in template.all(kind)):
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Deny" or statement["Principal"] not in (
                "*",
                {"AWS": "*"},
            )


def test_only_aws_services_assume_roles(template: Template) -> None:
    assumed_by = {
        service
        for role in template.all("IAM::Role")
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
        for service in listed(statement["Principal"]["Service"])
    }
    assert assumed_by == {"lambda.amazonaws.com", "scheduler.amazonaws.com"}
