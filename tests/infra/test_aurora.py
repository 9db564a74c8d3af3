"""Aurora, and a database that is restored from a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.constructs.database.base import name_of

if TYPE_CHECKING:
    from infra.site.config import Site
    from tests.infra.template import Template

FROM_NOTHING = {"DatabaseName", "DBName", "MasterUsername", "MasterUserAuthenticationType"}


def test_cluster_is_as_protected_as_instance(restored_template: Template) -> None:
    resource = restored_template.resource("RDS::DBCluster")
    cluster = resource["Properties"]
    assert cluster["Engine"] == "aurora-postgresql"
    assert cluster["StorageEncrypted"] is True
    assert cluster["EnableIAMDatabaseAuthentication"] is True
    assert not {"MasterUserPassword", "ManageMasterUserPassword"} & cluster.keys()
    assert cluster["DeletionProtection"] is True
    assert cluster["DeleteAutomatedBackups"] is False
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Snapshot"
    groups = [restored_template.referred(group) for group in cluster["VpcSecurityGroupIds"]]
    assert groups == ["Network/Database"]
    parameters = restored_template.one("RDS::DBClusterParameterGroup")
    assert parameters["Family"] == "aurora-postgresql18"
    assert parameters["Parameters"]["rds.force_ssl"] == "1"


def test_instances_scale_within_limits_per_zone(restored_template: Template) -> None:
    cluster = restored_template.one("RDS::DBCluster")
    assert cluster["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0.5, "MaxCapacity": 16}
    instances = restored_template.all("RDS::DBInstance")
    assert [one["PromotionTier"] for one in instances] == [0, 1]
    for instance in instances:
        assert instance["DBInstanceClass"] == "db.serverless"
        assert instance["PubliclyAccessible"] is False
        assert restored_template.referred(instance["DBClusterIdentifier"]) == "Database/Cluster"


def test_functions_connect_to_writer_endpoint(restored_template: Template) -> None:
    for function in ("api", "collector", "migrate"):
        variables = restored_template.functions()[function]["Environment"]["Variables"]
        assert variables["DB_HOST"]["Fn::GetAtt"][1] == "Endpoint.Address"
        assert restored_template.referred(variables["DB_HOST"]) == "Database/Cluster"
        (log_in,) = [
            one
            for one in restored_template.statements(function)
            if one["Action"] == "rds-db:connect"
        ]
        assert "DBClusterResourceId" in str(log_in["Resource"])


def test_cpu_connections_and_capacity_have_alarms(restored_template: Template) -> None:
    watched = {
        alarm["MetricName"]
        for alarm in restored_template.all("CloudWatch::Alarm")
        if alarm["Namespace"] == "AWS/RDS"
    }
    assert watched == {"CPUUtilization", "DatabaseConnections", "ACUUtilization"}


def test_restored_database_is_created_from_snapshot(restored_template: Template) -> None:
    cluster = restored_template.one("RDS::DBCluster")
    assert cluster["SnapshotIdentifier"] == "hpcobs-big-final"
    assert not FROM_NOTHING & cluster.keys()


def test_restored_database_has_another_name(restored: Site) -> None:
    def named(source: str) -> str:
        database = restored.database.model_copy(update={"restore_from": source})
        return name_of(restored.model_copy(update={"database": database}))

    assert named("") == "hpcobs-restored"
    names = {named(""), named("one"), named("two")}
    assert len(names) == 3
    for name in names:
        assert len(name) <= 63
        assert name.replace("-", "").isalnum()


def test_another_database_reruns_migrations_and_versions(
    restored: Site, restored_template: Template
) -> None:
    for function in ("migrate", "api", "collector"):
        description = restored_template.functions()[function]["Description"]
        assert description.endswith(f"database {name_of(restored)}")


def test_options_never_change_type_of_resource(
    template: Template, other_template: Template, restored_template: Template
) -> None:
    """Check that no logical id has two types: CloudFormation rejects such an update."""
    types: dict[str, str] = {}
    for one in (template, other_template, restored_template):
        for name, resource in one.resources.items():
            assert types.setdefault(name, resource["Type"]) == resource["Type"], name
