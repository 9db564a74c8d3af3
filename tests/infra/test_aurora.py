"""Aurora, and a database that is restored from a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.constructs.database.base import name_of

if TYPE_CHECKING:
    from infra.site.config import Site
    from tests.infra.template import Template

FROM_NOTHING = {"DatabaseName", "DBName", "MasterUsername", "MasterUserAuthenticationType"}


def test_a_cluster_is_as_private_and_as_safe_as_an_instance(restored_template: Template) -> None:
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


def test_its_instances_grow_between_the_site_s_limits_in_as_many_zones_as_asked(
    restored_template: Template,
) -> None:
    cluster = restored_template.one("RDS::DBCluster")
    assert cluster["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0.5, "MaxCapacity": 16}
    instances = restored_template.all("RDS::DBInstance")
    assert [one["PromotionTier"] for one in instances] == [0, 1]
    for instance in instances:
        assert instance["DBInstanceClass"] == "db.serverless"
        assert instance["PubliclyAccessible"] is False
        assert restored_template.referred(instance["DBClusterIdentifier"]) == "Database/Cluster"


def test_functions_reach_the_instance_that_writes(restored_template: Template) -> None:
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


def test_its_processor_its_connections_and_its_capacity_are_watched(
    restored_template: Template,
) -> None:
    watched = {
        alarm["MetricName"]
        for alarm in restored_template.all("CloudWatch::Alarm")
        if alarm["Namespace"] == "AWS/RDS"
    }
    assert watched == {"CPUUtilization", "DatabaseConnections", "ACUUtilization"}


def test_a_restored_database_begins_with_what_the_snapshot_holds(
    restored_template: Template,
) -> None:
    cluster = restored_template.one("RDS::DBCluster")
    assert cluster["SnapshotIdentifier"] == "hpcobs-big-final"
    assert not FROM_NOTHING & cluster.keys()


def test_it_stands_beside_the_one_that_it_replaces(restored: Site) -> None:
    def named(source: str) -> str:
        database = restored.database.model_copy(update={"restore_from": source})
        return name_of(restored.model_copy(update={"database": database}))

    assert named("") == "hpcobs-restored"
    names = {named(""), named("one"), named("two")}
    assert len(names) == 3
    for name in names:
        assert len(name) <= 63
        assert name.replace("-", "").isalnum()


def test_a_database_under_another_name_makes_migrations_run_and_versions_anew(
    restored: Site, restored_template: Template
) -> None:
    for function in ("migrate", "api", "collector"):
        description = restored_template.functions()[function]["Description"]
        assert description.endswith(f"database {name_of(restored)}")


def test_a_site_can_take_any_option_later(
    template: Template, other_template: Template, restored_template: Template
) -> None:
    """CloudFormation refuses an update by which a resource would become one of another type."""
    types: dict[str, str] = {}
    for one in (template, other_template, restored_template):
        for name, resource in one.resources.items():
            assert types.setdefault(name, resource["Type"]) == resource["Type"], name
