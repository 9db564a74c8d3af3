"""The database: private, encrypted, without a password, and not lost by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.infra.template import Template


def test_it_is_private_and_encrypted(template: Template) -> None:
    instance = template.one("RDS::DBInstance")
    assert instance["PubliclyAccessible"] is False
    assert instance["StorageEncrypted"] is True
    groups = [template.referred(group) for group in instance["VPCSecurityGroups"]]
    assert groups == ["Network/Database"]


def test_it_answers_over_tls_only(template: Template) -> None:
    assert template.one("RDS::DBParameterGroup")["Parameters"]["rds.force_ssl"] == "1"


def test_nobody_logs_in_by_a_password(template: Template) -> None:
    instance = template.one("RDS::DBInstance")
    assert instance["EnableIAMDatabaseAuthentication"] is True
    assert instance["MasterUserAuthenticationType"] == "iam-db-auth"
    assert not {"MasterUserPassword", "ManageMasterUserPassword"} & instance.keys()


def test_removing_or_replacing_it_leaves_a_snapshot(template: Template) -> None:
    resource = template.resource("RDS::DBInstance")
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Snapshot"
    assert resource["Properties"]["DeleteAutomatedBackups"] is False
    assert resource["Properties"]["DeletionProtection"] is True


def test_the_site_chooses_its_size_and_its_safety(other_template: Template) -> None:
    instance = other_template.one("RDS::DBInstance")
    chosen = {
        "EngineVersion": "18.6",
        "AutoMinorVersionUpgrade": False,
        "DBInstanceClass": "db.r8g.large",
        "AllocatedStorage": "200",
        "MaxAllocatedStorage": 1000,
        "MultiAZ": True,
        "BackupRetentionPeriod": 30,
        "DeletionProtection": False,
        "EnablePerformanceInsights": False,
    }
    assert {name: instance[name] for name in chosen} == chosen
    parameters = other_template.one("RDS::DBParameterGroup")
    assert parameters["Family"] == "postgres18"
    assert parameters["Parameters"]["max_connections"] == "500"


def test_its_log_is_kept_as_long_as_all_others(template: Template) -> None:
    instance = template.resource("RDS::DBInstance")
    name = instance["Properties"]["DBInstanceIdentifier"]
    logs = template.one("Logs::LogGroup", "Database/Logs")
    assert instance["Properties"]["EnableCloudwatchLogsExports"] == ["postgresql"]
    assert logs["LogGroupName"] == f"/aws/rds/instance/{name}/postgresql"
    assert "Database/Logs" in template.depends_on(instance)
