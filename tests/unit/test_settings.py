"""The environment as settings: defaults, and one line that names a bad variable."""

from __future__ import annotations

import pytest

from hpcobs.settings import Settings, SettingsError, read_settings
from hpcobs.storage.conninfo import connect_arguments

EMPTY = {"PATH": "/bin"}


def test_empty_environment_gives_documented_defaults() -> None:
    settings = read_settings(EMPTY)
    assert (settings.db_max_conns, settings.db_min_conns) == (25, 5)
    lifetimes = (settings.db_max_conn_lifetime_seconds, settings.db_max_conn_idle_seconds)
    assert lifetimes == (300, 30)
    assert settings.collect_interval_seconds == 30
    kept = (settings.metrics_retention_days, settings.rollup_retention_days)
    assert (*kept, settings.audit_retention_days) == (7, 400, 400)
    assert (settings.host, settings.port, settings.seed_demo) == ("127.0.0.1", 8080, False)
    assert settings.scheduler_backend == "slurm"


def test_empty_variable_counts_as_unset() -> None:
    assert read_settings({"PORT": "", "DATABASE_URL": ""}) == read_settings(EMPTY)


def test_port_0_is_allowed() -> None:
    assert read_settings({"PORT": "0"}).port == 0


def test_lambda_has_one_connection() -> None:
    environ = {"AWS_LAMBDA_FUNCTION_NAME": "api", "DB_MAX_CONNS": "9", "DB_MIN_CONNS": "4"}
    settings = read_settings(environ)
    assert (settings.db_max_conns, settings.db_min_conns) == (1, 0)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PORT", "abc", "must be a whole number"),
        ("PORT", "70000", "must be a whole number, 65535 at most"),
        ("DB_PORT", "0", "must be a whole number, 1 at least"),
        ("DB_MAX_CONNS", "0", "must be a whole number, 1 at least"),
        ("METRICS_RETENTION_DAYS", "1.5", "must be a whole number"),
        ("SEED_DEMO", "maybe", "must be true or false"),
        ("DB_IAM_AUTH", "perhaps", "must be true or false"),
        ("AUTH_SECRET", "short", "must have 32 characters at least"),
        ("SCHEDULER_BACKEND", "pbs", "must be slurm or mock"),
        ("SLURM_BASE_URL", "slurm:6820", "must be an http or https URL"),
        ("SLURM_API_VERSION", "40", "must be such as v0.0.40"),
        ("CLUSTER_NAME", "my cluster", "must be 1 to 64 letters, digits, - or _"),
        ("CLUSTER_NAME", "x" * 65, "must be 1 to 64 letters"),
        ("AUTH_SCOPES_BY_GROUP", '{"staff": 1}', "must be an object whose values are texts"),
        ("AUTH_SCOPES_BY_GROUP", "{", "is not JSON"),
    ],
)
def test_bad_value_names_its_variable(name: str, value: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({name: value})
    assert str(caught.value).startswith(f"{name}: {complaint}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://ada:hush@db/jobs", "nonsense"])
def test_bad_database_url_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        connect_arguments(Settings(database_url=url))
    assert str(caught.value) == "DATABASE_URL: must be a postgresql:// URL"
