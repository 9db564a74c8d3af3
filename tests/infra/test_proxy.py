"""RDS Proxy: before the database for requests only, over TLS and by IAM on either side."""

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
    """What the function may log in to, as text."""
    return json.dumps(
        [one for one in template.statements(function) if one["Action"] == "rds-db:connect"]
    )


def test_a_site_has_none_unless_it_asks_for_one(template: Template) -> None:
    assert template.all("RDS::DBProxy") == []
    for function in BEHIND_API_WITH_DATABASE:
        assert "DB_PROXY" not in _variables(template, function)


def test_it_takes_tls_and_iam_only_and_knows_no_secret(other_template: Template) -> None:
    proxy = other_template.one("RDS::DBProxy")
    assert proxy["RequireTLS"] is True
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert "Auth" not in proxy


@pytest.mark.parametrize("function", BEHIND_API_WITH_DATABASE)
def test_functions_behind_the_api_reach_the_database_through_it(
    other_template: Template, function: str
) -> None:
    variables = _variables(other_template, function)
    assert other_template.referred(variables["DB_HOST"]) == "Proxy/Proxy"
    assert variables["DB_PROXY"] == "true"
    assert variables["PGSSLROOTCERT"] == "/opt/certificates/amazon.pem"
    assert "DBProxyArn" in _log_in(other_template, function)
    assert "DbiResourceId" not in _log_in(other_template, function)


@pytest.mark.parametrize("function", DIRECT)
def test_the_others_go_to_the_database_itself(other_template: Template, function: str) -> None:
    variables = _variables(other_template, function)
    assert other_template.referred(variables["DB_HOST"]) == "Database/Instance"
    assert "DB_PROXY" not in variables
    assert "DBProxyArn" not in _log_in(other_template, function)


def test_it_may_log_in_as_the_service_s_user_and_nobody_else(other_template: Template) -> None:
    policy = other_template.one("IAM::Policy", "Proxy/Role")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "rds-db:connect"
    *_, database, user = statement["Resource"]["Fn::Join"][1]
    assert other_template.referred(database) == "Database/Instance"
    assert user == "/hpcobs"


def test_it_stands_between_the_functions_and_the_database(other_template: Template) -> None:
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


def test_it_sets_what_a_session_would_set_and_leaves_connections_to_others(
    other_template: Template,
) -> None:
    group = other_template.one("RDS::DBProxyTargetGroup")
    pool = group["ConnectionPoolConfigurationInfo"]
    limit_ms = int(REQUEST_STATEMENT_TIMEOUT_SECONDS * 1000)
    assert pool["InitQuery"] == f"SET statement_timeout = {limit_ms}"
    assert pool["MaxConnectionsPercent"] < 100
    (target,) = group["DBInstanceIdentifiers"]
    assert other_template.referred(target) == "Database/Instance"
    parameters = other_template.one("RDS::DBParameterGroup")["Parameters"]
    assert (parameters["timezone"], parameters["jit"]) == ("UTC", "0")


def test_it_is_there_before_any_function_that_needs_it(other_template: Template) -> None:
    (run,) = [one for one in other_template.resources.values() if one["Type"] == "Custom::Trigger"]
    assert {"Proxy/Proxy", "Proxy/Targets"} <= other_template.depends_on(run)


def test_its_log_forgets(other_template: Template) -> None:
    proxy = other_template.resource("RDS::DBProxy")
    name = proxy["Properties"]["DBProxyName"]
    logs = other_template.one("Logs::LogGroup", "Proxy/Logs")
    assert logs["LogGroupName"] == f"/aws/rds/proxy/{name}"
    assert "Proxy/Logs" in other_template.depends_on(proxy)
