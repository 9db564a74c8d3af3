"""Each function's role allows exactly the actions of its code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.constructs.function import INTERFACE_ACTIONS
from infra.constructs.functions import SIZES
from tests.infra.needs import actions_of
from tests.infra.template import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.template import Template

FUNCTIONS = (*SIZES, "migrate")
LOG_ACTIONS = {"logs:CreateLogStream", "logs:PutLogEvents"}


def _allowed(template: Template, function: str) -> Iterator[tuple[str, str]]:
    """Return every allowed action with the path, or the text, of its resource."""
    for statement in template.statements(function):
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    yield action, _named(template, resource)


def _named(template: Template, resource: object) -> str:
    if isinstance(resource, dict) and resource.keys() & {"Ref", "Fn::GetAtt"}:
        return template.referred(resource)
    return resource if isinstance(resource, str) else json.dumps(resource)


@pytest.mark.parametrize("function", SIZES)
def test_allowed_actions_match_code(template: Template, function: str) -> None:
    actions = {action for action, _ in _allowed(template, function)}
    assert actions - LOG_ACTIONS - set(INTERFACE_ACTIONS) == actions_of(function)


def test_queue_permissions_match_code(template: Template) -> None:
    used = {
        (function, action.removeprefix("sqs:"), on)
        for function in FUNCTIONS
        for action, on in _allowed(template, function)
        if action.startswith("sqs:")
    }
    samples, dead_letters = "Samples/Samples", "Samples/DeadLetters"
    assert used == {
        ("ingest", "SendMessage", samples),
        ("collector", "ReceiveMessage", samples),
        ("collector", "ChangeMessageVisibility", samples),
        ("collector", "DeleteMessage", samples),
        ("collector", "SendMessage", dead_letters),
        ("api", "GetQueueAttributes", samples),
        ("api", "GetQueueAttributes", dead_letters),
        ("metrics", "GetQueueAttributes", samples),
        ("metrics", "GetQueueAttributes", dead_letters),
    }


def test_only_migrate_logs_in_as_administrator(template: Template) -> None:
    administrator = template.one("RDS::DBInstance")["MasterUsername"]
    for function in FUNCTIONS:
        users = {
            json.loads(on)["Fn::Join"][1][-1]
            for action, on in _allowed(template, function)
            if action == "rds-db:connect"
        }
        if function == "migrate":
            assert users == {f"/{administrator}", "/hpcobs"}
        else:
            assert users <= {"/hpcobs"}


def test_only_authorizer_and_rotation_read_key(template: Template) -> None:
    readers = {
        (function, action.partition(":")[2], on)
        for function in FUNCTIONS
        for action, on in _allowed(template, function)
        if action.startswith("secretsmanager:")
    }
    assert readers == {
        ("authorizer", "GetSecretValue", "Signing/Key"),
        ("rotate", "DescribeSecret", "Signing/Key"),
        ("rotate", "GetSecretValue", "Signing/Key"),
        ("rotate", "PutSecretValue", "Signing/Key"),
        ("rotate", "UpdateSecretVersionStage", "Signing/Key"),
    }


def test_each_function_writes_own_log_group(template: Template) -> None:
    for function in FUNCTIONS:
        logs = {on for action, on in _allowed(template, function) if action in LOG_ACTIONS}
        assert {log.removesuffix("/Logs").rpartition("/")[2] for log in logs} == {function}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_wildcard_resource_only_for_lambda_networking(template: Template, function: str) -> None:
    on_all = {action for action, on in _allowed(template, function) if on == "*"}
    in_vpc = "VpcConfig" in template.functions()[function]
    assert on_all == (set(INTERFACE_ACTIONS) if in_vpc else set())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_code_cannot_change_network_interfaces(template: Template, function: str) -> None:
    if "VpcConfig" not in template.functions()[function]:
        return
    (denial,) = [one for one in template.statements(function) if one["Effect"] == "Deny"]
    assert denial["Action"] == INTERFACE_ACTIONS
    own = denial["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]
    assert own.endswith(f":function:{template.functions()[function]['FunctionName']}")


def test_no_policy_allows_every_action(template: Template) -> None:
    for policy in template.all("IAM::Policy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            assert not [action for action in listed(statement["Action"]) if "*" in action]
