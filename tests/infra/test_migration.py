"""Migrations run before anything else is changed, and whenever the code or the layer changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.infra.template import Properties, Template


@pytest.fixture
def run(template: Template) -> Properties:
    (found,) = [one for one in template.resources.values() if one["Type"] == "Custom::Trigger"]
    return found


def test_migrate_is_called_and_a_failure_fails_the_deployment(
    template: Template, run: Properties
) -> None:
    properties = run["Properties"]
    assert properties["InvocationType"] == "RequestResponse"
    called = template.resources[properties["HandlerArn"]["Ref"]]
    assert called["Type"] == "AWS::Lambda::Version"
    assert template.referred(called["Properties"]["FunctionName"]) == "Migration/migrate/Function"


def test_the_caller_is_more_patient_than_migrate_may_run(
    template: Template, run: Properties
) -> None:
    limit = template.functions()["migrate"]["Timeout"]
    assert int(run["Properties"]["Timeout"]) > limit * 1000


def test_the_database_can_be_reached_by_then(template: Template, run: Properties) -> None:
    before = template.depends_on(run)
    assert "Database/Instance" in before
    assert template.paths("EC2::SecurityGroupIngress") <= before
    assert template.paths("EC2::SecurityGroupEgress") <= before


def test_no_other_function_is_changed_before(template: Template) -> None:
    for path in template.paths("Lambda::Function"):
        if path.startswith("Functions/"):
            before = template.depends_on(template.resource("Lambda::Function", path))
            assert [name for name in before if name.startswith("Migration/Run/")]
