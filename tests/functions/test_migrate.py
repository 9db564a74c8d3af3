"""``migrate``, as a deployment calls it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import conninfo, sql

from hpcobs import bootstrap
from hpcobs.storage.deployment import Deployment
from hpcobs.storage.migrations import SchemaError, available

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = 'the service\'s "user"'


@pytest.fixture
def empty(database_url: str) -> Iterator[str]:
    """Provide a database like a new RDS instance's, whose administrator may make roles."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute("CREATE ROLE rds_iam")
    yield database_url
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        for row in connection.execute("SELECT quote_ident(rolname) FROM pg_roles").fetchall():
            if row[0] == "rds_iam" or "service" in row[0]:
                connection.execute(f"DROP ROLE {row[0]}".encode())


def deployment(url: str) -> Deployment:
    administrator: dict[str, Any] = conninfo.conninfo_to_dict(url)

    def user() -> dict[str, Any]:
        # Like an IAM token, the password is valid only from now on.
        password = sql.SQL("ALTER ROLE {} PASSWORD 'token'").format(sql.Identifier(USER))
        with psycopg.connect(url) as connection:
            connection.execute(password)
        return {**administrator, "user": USER, "password": "token"}

    return Deployment(user, user=USER, administrator=lambda: administrator, patience_seconds=0)


def test_function_applies_missing_migrations(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    monkeypatch.setenv("DATABASE_URL", database_url)
    bootstrap.reset()
    handler = import_module("functions.migrate.handler").lambda_handler
    assert handler({}, None) == {"applied": list(available())}
    assert handler({}, None) == {"applied": []}
    bootstrap.reset()


def test_service_user_owns_the_tables(empty: str) -> None:
    assert deployment(empty).apply() == list(available())
    assert deployment(empty).apply() == []
    with psycopg.connect(empty) as connection:
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        roles = connection.execute(
            "SELECT pg_has_role(rolname, 'rds_iam', 'member'), rolsuper"
            " FROM pg_roles WHERE rolname = %s",
            [USER],
        ).fetchall()
    assert (owners, roles) == ([(USER,)], [(True, False)])


def test_later_migrations_are_ignored(empty: str) -> None:
    deployment(empty).apply()
    with psycopg.connect(empty) as connection:
        connection.execute("INSERT INTO schema_migrations (name) VALUES ('9999_later')")
    assert deployment(empty).apply() == []


def test_other_migrations_fail_the_deployment(empty: str) -> None:
    deployment(empty).apply()
    with psycopg.connect(empty) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE name LIKE '0003%'")
    with pytest.raises(SchemaError):
        deployment(empty).apply()


def test_unreachable_database_fails_the_deployment() -> None:
    nowhere = {"host": "127.0.0.1", "port": 1, "user": "x", "dbname": "x"}
    with pytest.raises(psycopg.OperationalError):
        Deployment(lambda: nowhere, user="x", patience_seconds=0).apply()
