"""The database: private, encrypted, without a password, and not lost by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.infra.template import Template


def test_database_is_private_and_encrypted(template: Template) -> None:
    instance = template.one("RDS::DBInstance")
    assert instance["PubliclyAccessible"] is False
    assert instance["StorageEncrypted"] is True
    groups = [template.referred(group) for group in instance["VPCSecurityGroups"]]
    assert groups == ["Network/Database"]


def test_database_requires_tls(template: Template) -> None:
    assert template.one("RDS::DBParameterGroup")["Parameters"]["rds.force_ssl"] == "1"


def test_no_user_has_password(template: Template) -> None:
    instance = template.one("RDS::DBInstance")
    assert instance["EnableIAMDatabaseAuthentication"] is True
    assert instance["MasterUserAuthenticationType"] == "iam-db-auth"
    assert not {"MasterUserPassword", "ManageMasterUserPassword"} & instance.keys()


def test_deleted_or_replaced_database_leaves_snapshot(template: Template) -> None:
    resource = template.resource("RDS::DBInstance")
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Snapshot"
    assert resource["Properties"]["DeleteAutomatedBackups"] is False
    assert resource["Properties"]["DeletionProtection"] is True


def test_size_and_protection_follow_site_options(other_template: Template) -> None:
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


def test_database_log_has_site_retention(template: Template) -> None:
    instance = template.resource("RDS::DBInstance")
    name = instance["Properties"]["DBInstanceIdentifier"]
    logs = template.one("Logs::LogGroup", "Database/Logs")
    assert instance["Properties"]["EnableCloudwatchLogsExports"] == ["postgresql"]
    assert logs["LogGroupName"] == f"/aws/rds/instance/{name}/postgresql"
    assert "Database/Logs" in template.depends_on(instance)
