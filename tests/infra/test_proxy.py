"""RDS Proxy: for requests only, with TLS and IAM on both sides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hpcobs.bootstrap import REQUEST_STATEMENT_TIMEOUT_SECONDS
from infra.constructs.functions import BEHIND_API_WITH_DATABASE

if TYPE_CHECKING:
    from tests.infra.template import Properties, Template

DIRECT = ("collector", "retention", "migrate")


def _variables(template: Template, function: str) -> Properties:
    variables: Properties = template.functions()[function]["Environment"]["Variables"]
    return variables


def _log_in(template: Template, function: str) -> str:
    """Return the resources of ``rds-db:connect`` of the function, as text."""
    return json.dumps(
        [one for one in template.statements(function) if one["Action"] == "rds-db:connect"]
    )


def test_proxy_is_optional(template: Template) -> None:
    assert template.all("RDS::DBProxy") == []
    for function in BEHIND_API_WITH_DATABASE:
        assert "DB_PROXY" not in _variables(template, function)


def test_proxy_requires_tls_and_iam(other_template: Template) -> None:
    proxy = other_template.one("RDS::DBProxy")
    assert proxy["RequireTLS"] is True
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert "Auth" not in proxy


@pytest.mark.parametrize("function", BEHIND_API_WITH_DATABASE)
def test_functions_behind_api_use_proxy(other_template: Template, function: str) -> None:
    variables = _variables(other_template, function)
    assert other_template.referred(variables["DB_HOST"]) == "Proxy/Proxy"
    assert variables["DB_PROXY"] == "true"
    assert variables["PGSSLROOTCERT"] == "/opt/certificates/amazon.pem"
    assert "DBProxyArn" in _log_in(other_template, function)
    assert "DbiResourceId" not in _log_in(other_template, function)


@pytest.mark.parametrize("function", DIRECT)
def test_other_functions_bypass_proxy(other_template: Template, function: str) -> None:
    variables = _variables(other_template, function)
    assert other_template.referred(variables["DB_HOST"]) == "Database/Instance"
    assert "DB_PROXY" not in variables
    assert "DBProxyArn" not in _log_in(other_template, function)


def test_proxy_logs_in_only_as_service_user(other_template: Template) -> None:
    policy = other_template.one("IAM::Policy", "Proxy/Role")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "rds-db:connect"
    *_, database, user = statement["Resource"]["Fn::Join"][1]
    assert other_template.referred(database) == "Database/Instance"
    assert user == "/hpcobs"


def test_security_groups_route_through_proxy(other_template: Template) -> None:
    into = {
        (
            other_template.referred(rule["SourceSecurityGroupId"]),
            other_template.referred(rule["GroupId"]),
        )
        for rule in other_template.all("EC2::SecurityGroupIngress")
        if rule["FromPort"] == rule["ToPort"] == 5432
    }
    assert into == {
        ("Network/Functions", "Network/Proxy"),
        ("Network/Functions", "Network/Database"),
        ("Network/Proxy", "Network/Database"),
    }


def test_proxy_sets_timeout_and_leaves_connections(other_template: Template) -> None:
    group = other_template.one("RDS::DBProxyTargetGroup")
    pool = group["ConnectionPoolConfigurationInfo"]
    limit_ms = int(REQUEST_STATEMENT_TIMEOUT_SECONDS * 1000)
    assert pool["InitQuery"] == f"SET statement_timeout = {limit_ms}"
    assert pool["MaxConnectionsPercent"] < 100
    (target,) = group["DBInstanceIdentifiers"]
    assert other_template.referred(target) == "Database/Instance"
    parameters = other_template.one("RDS::DBParameterGroup")["Parameters"]
    assert (parameters["timezone"], parameters["jit"]) == ("UTC", "0")


def test_proxy_exists_before_its_functions(other_template: Template) -> None:
    (run,) = [one for one in other_template.resources.values() if one["Type"] == "Custom::Trigger"]
    assert {"Proxy/Proxy", "Proxy/Targets"} <= other_template.depends_on(run)


def test_proxy_log_expires(other_template: Template) -> None:
    proxy = other_template.resource("RDS::DBProxy")
    name = proxy["Properties"]["DBProxyName"]
    logs = other_template.one("Logs::LogGroup", "Proxy/Logs")
    assert logs["LogGroupName"] == f"/aws/rds/proxy/{name}"
    assert "Proxy/Logs" in other_template.depends_on(proxy)
