"""The functions: their handlers exist, and their environments match their code."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from hpcobs.auth import oidc
from hpcobs.settings import read_settings
from infra.constructs.functions import BEHIND_API_WITH_DATABASE, ON_THE_WAY_OF_REQUESTS, SIZES
from infra.paths import ROOT
from infra.site.config import REQUEST_FUNCTIONS_WITH_DATABASE
from tests.infra.needs import settings_of

if TYPE_CHECKING:
    from infra.site.config import Site
    from tests.infra.template import Properties, Template

FUNCTIONS = (*SIZES, "migrate")
WITH_DATABASE = {"api", "events", "collector", "metrics", "retention", "migrate"}

IDENTITY = {
    "AUTH_JWKS_URL",
    "AUTH_ISSUER",
    "AUTH_AUDIENCE",
    "AUTH_USER_CLAIM",
    "AUTH_USER_DOMAIN",
    "AUTH_USER_SCOPES",
    "AUTH_GROUPS_CLAIM",
    "AUTH_SCOPES_BY_GROUP",
}
LEFT_AT_ITS_DEFAULT = {
    "DATABASE_URL": "its parts are set",
    "DB_MAX_CONNS": "one connection in a Lambda, whatever is set",
    "DB_MIN_CONNS": "likewise",
    "DB_MAX_CONN_LIFETIME_SECONDS": "there is no pool in a Lambda",
    "DB_MAX_CONN_IDLE_SECONDS": "likewise",
    "DB_PROXY": "the example has no proxy",
    "ALLOWED_NETWORKS": "the example answers all",
    "SCHEDULER_BACKEND": "slurm",
    "SLURM_BASE_URL": "the network has no route to a cluster: its controller role pushes",
    "SLURM_API_VERSION": "likewise",
    "SLURM_AUTH_TOKEN": "likewise",
    "AUTH_SECRET": "AUTH_SECRET_ARN is set",
    "AUTH_SECRET_PREVIOUS": "likewise",
    **dict.fromkeys(IDENTITY, "the example names no identity provider"),
}
NOT_USED = {"ingest": {"SAMPLES_DEAD_LETTER_QUEUE_URL"}}
"""``ingest`` only sends to the queue."""
READ_BY_LIBPQ = {"PGSSLROOTCERT"}


def _variables(template: Template, name: str) -> Properties:
    variables: Properties = template.functions()[name]["Environment"]["Variables"]
    return variables


def test_all_functions_are_deployed(template: Template) -> None:
    assert template.functions().keys() == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_configured_handler_can_be_imported(template: Template, name: str) -> None:
    module, _, attribute = template.functions()[name]["Handler"].rpartition(".")
    assert callable(getattr(import_module(module), attribute))


@pytest.mark.parametrize("name", SIZES)
def test_environment_matches_settings_of_code(template: Template, name: str) -> None:
    read = {setting.upper() for setting in settings_of(name)}
    expected = read - LEFT_AT_ITS_DEFAULT.keys() - NOT_USED.get(name, set())
    assert _variables(template, name).keys() - READ_BY_LIBPQ == expected


def test_migrate_has_both_database_users(template: Template) -> None:
    variables = _variables(template, "migrate")
    assert variables["DB_ADMIN_USER"] == template.one("RDS::DBInstance")["MasterUsername"]
    assert variables["DB_USER"] == "hpcobs"


@pytest.mark.parametrize("name", sorted(WITH_DATABASE))
def test_database_login_uses_iam_and_checks_certificate(template: Template, name: str) -> None:
    variables = _variables(template, name)
    assert variables["DB_HOST"]["Fn::GetAtt"][1] == "Endpoint.Address"
    assert variables["DB_NAME"] == template.one("RDS::DBInstance")["DBName"]
    assert variables["DB_IAM_AUTH"] == "true"
    assert variables["PGSSLROOTCERT"] == "/opt/certificates/rds.pem"


def test_site_options_reach_functions(other_template: Template, other: Site) -> None:
    collector = _variables(other_template, "collector")
    assert collector["COLLECT_INTERVAL_SECONDS"] == "15"
    assert collector["METRICS_RETENTION_DAYS"] == "30"
    assert collector["CLUSTER_NAME"] == other.cluster_name
    assert _variables(other_template, "retention")["AUDIT_RETENTION_DAYS"] == "1000"
    for name in ("api", "events", "ingest", "metrics"):
        allowed = _variables(other_template, name)["ALLOWED_NETWORKS"]
        assert allowed == "192.0.2.0/24 2001:db8::/32"


def test_snap_start_covers_functions_behind_api(
    template: Template, other_template: Template
) -> None:
    for name, function in other_template.functions().items():
        asked = function.get("SnapStart", {}).get("ApplyOn")
        assert asked == ("PublishedVersions" if name in ON_THE_WAY_OF_REQUESTS else None)
    assert not any("SnapStart" in function for function in template.functions().values())
    assert template.all("Lambda::Alias") == []


def test_snapshots_are_invoked_by_alias(other_template: Template) -> None:
    integrations = other_template.all("ApiGatewayV2::Integration")
    called = {other_template.referred(one["IntegrationUri"]) for one in integrations}
    called.add(
        other_template.referred(
            other_template.one("ApiGatewayV2::Authorizer")["AuthorizerUri"]["Fn::Join"][1][-2]
        )
    )
    assert called == {f"Functions/{name}/Live" for name in ON_THE_WAY_OF_REQUESTS}
    for name in ON_THE_WAY_OF_REQUESTS:
        alias = other_template.one("Lambda::Alias", f"Functions/{name}/")
        version = other_template.resources[alias["FunctionVersion"]["Fn::GetAtt"][0]]
        published = version["Properties"]["FunctionName"]
        assert other_template.referred(published) == f"Functions/{name}/Function"


def test_concurrency_limits_connections_of_requests(
    template: Template, other_template: Template
) -> None:
    reserved = {
        name: function["ReservedConcurrentExecutions"]
        for name, function in other_template.functions().items()
        if "ReservedConcurrentExecutions" in function
    }
    assert reserved == dict.fromkeys(BEHIND_API_WITH_DATABASE, 50)
    assert len(BEHIND_API_WITH_DATABASE) == REQUEST_FUNCTIONS_WITH_DATABASE
    for function in template.functions().values():
        assert "ReservedConcurrentExecutions" not in function


def test_authorizer_has_identity_provider_settings(other_template: Template) -> None:
    variables = _variables(other_template, "authorizer")
    assert variables.keys() == IDENTITY | {"AUTH_SECRET_ARN"}
    given = {name: variables[name] for name in IDENTITY}
    known = oidc.options(read_settings({**given, "AUTH_SECRET": "x" * 32}))
    assert known == oidc.IdentityOptions(
        jwks_url="https://login.example.org/keys",
        issuer="https://login.example.org",
        audience="hpcobs",
        user_claim="email",
        user_domain="example.org",
        user_scopes=frozenset({"jobs:read", "jobs:write"}),
        groups_claim="realm_access.roles",
        scopes_by_group={
            "hpc-admins": frozenset({"admin"}),
            "staff": frozenset({"jobs:read", "metrics:read"}),
        },
    )


def test_only_database_functions_are_in_vpc(template: Template) -> None:
    inside = {name for name, function in template.functions().items() if "VpcConfig" in function}
    assert inside == WITH_DATABASE


def test_functions_match_platform_of_layer(template: Template) -> None:
    layer = template.one("Lambda::LayerVersion")
    for function in template.functions().values():
        assert function["Architectures"] == layer["CompatibleArchitectures"] == ["arm64"]
        assert [function["Runtime"]] == layer["CompatibleRuntimes"] == ["python3.13"]
        assert [template.referred(item) for item in function["Layers"]] == ["Layer/Version"]


def test_functions_time_out_before_gateway(template: Template) -> None:
    for name in ("api", "events", "ingest", "metrics"):
        assert template.functions()[name]["Timeout"] < 30
    assert template.functions()["authorizer"]["Timeout"] <= 10


def test_every_log_group_expires(template: Template, other_template: Template) -> None:
    for one, days in ((template, 30), (other_template, 90)):
        groups = one.all("Logs::LogGroup")
        assert {group["RetentionInDays"] for group in groups} == {days}
        for name, function in one.functions().items():
            assert function["LoggingConfig"]["SystemLogLevel"] == "WARN"
            group = one.referred(function["LoggingConfig"]["LogGroup"])
            assert group.endswith(f"{name}/Logs")
        assert "Migration/CallerLogs" in one.paths("Logs::LogGroup")


def test_every_function_of_repository_is_deployed(template: Template) -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert folders <= template.functions().keys()
