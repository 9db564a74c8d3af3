"""Migrations run before other functions change, if the code or the layer changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.infra.template import Properties, Template


@pytest.fixture
def run(template: Template) -> Properties:
    (found,) = [one for one in template.resources.values() if one["Type"] == "Custom::Trigger"]
    return found


def test_failed_migration_fails_deployment(template: Template, run: Properties) -> None:
    properties = run["Properties"]
    assert properties["InvocationType"] == "RequestResponse"
    called = template.resources[properties["HandlerArn"]["Ref"]]
    assert called["Type"] == "AWS::Lambda::Version"
    assert template.referred(called["Properties"]["FunctionName"]) == "Migration/migrate/Function"


def test_caller_waits_longer_than_migrate_runs(template: Template, run: Properties) -> None:
    limit = template.functions()["migrate"]["Timeout"]
    assert int(run["Properties"]["Timeout"]) > limit * 1000


def test_migrate_runs_after_database_and_network(template: Template, run: Properties) -> None:
    before = template.depends_on(run)
    assert "Database/Instance" in before
    assert template.paths("EC2::SecurityGroupIngress") <= before
    assert template.paths("EC2::SecurityGroupEgress") <= before


def test_migrate_runs_before_other_functions_change(template: Template) -> None:
    for path in template.paths("Lambda::Function"):
        if path.startswith("Functions/"):
            before = template.depends_on(template.resource("Lambda::Function", path))
            assert [name for name in before if name.startswith("Migration/Run/")]
