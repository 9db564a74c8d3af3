"""A failed connection names its cause at once, and only what may pass is tried again."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError
from psycopg import errors as pg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hpcobs.domain.errors import UnavailableError
from hpcobs.settings import Settings
from hpcobs.storage.connections import PooledConnections, SingleConnection, connect
from hpcobs.storage.conninfo import connect_arguments, from_url
from hpcobs.storage.deployment import Deployment
from hpcobs.storage.failures import Cause, ConnectError, failure
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from hpcobs_local.postgres.server import EmbeddedPostgres
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROLES = """
CREATE ROLE nologin NOLOGIN PASSWORD 'x'; CREATE ROLE plain LOGIN PASSWORD 'x';
CREATE ROLE single LOGIN PASSWORD 'x' CONNECTION LIMIT 0;
CREATE ROLE expired LOGIN PASSWORD 'x' VALID UNTIL '2020-01-01';
CREATE DATABASE closed; REVOKE CONNECT ON DATABASE closed FROM public;
CREATE DATABASE stopped ALLOW_CONNECTIONS false
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server with few connections and with users that cannot log in."""
    folder = tmp_path_factory.mktemp("failing")
    settings = {"fsync": "off", "max_connections": "8", "max_wal_senders": "0"}
    with EmbeddedPostgres(folder, settings=settings) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            for statement in ROLES.split(";"):
                connection.execute(statement.encode())
        yield server.url


REAL: list[tuple[dict[str, Any], Cause, str]] = [
    ({"password": "wrong"}, Cause.PASSWORD, 'for user "hpcobs"'),
    ({"password": None}, Cause.PASSWORD, "no password supplied"),
    ({"user": "nobody"}, Cause.PASSWORD, 'for user "nobody"'),
    ({"user": "expired", "password": "x"}, Cause.PASSWORD, 'for user "expired"'),
    ({"user": "nologin", "password": "x"}, Cause.USER, "not permitted to log in"),
    ({"dbname": "none"}, Cause.DATABASE, 'database "none" does not exist'),
    ({"dbname": "stopped"}, Cause.DATABASE, "not currently accepting connections"),
    ({"dbname": "closed", "user": "plain", "password": "x"}, Cause.USER, "permission denied"),
    ({"user": "single", "password": "x"}, Cause.BUSY, "too many connections for role"),
    ({"sslmode": "require"}, Cause.TLS, "does not support SSL"),
    ({"sslmode": "verify-full", "sslrootcert": "/none.pem"}, Cause.TLS, "SSL was required"),
    ({"host": "localhost", "password": "wrong"}, Cause.PASSWORD, 'for user "hpcobs"'),
    ({"port": "1"}, Cause.UNREACHABLE, "Connection refused"),
    ({"host": "none.invalid"}, Cause.UNREACHABLE, "none.invalid"),
    ({"options": "-c no_such=1"}, Cause.OTHER, "no_such"),
]


def changed(url: str, **parts: Any) -> str:
    made = {**conninfo_to_dict(url), **parts}
    return make_conninfo(**{name: value for name, value in made.items() if value is not None})


@pytest.mark.parametrize(("parts", "cause", "reason"), REAL)
def test_real_failure_names_cause_and_variable(
    url: str, parts: dict[str, Any], cause: Cause, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    with pytest.raises(ConnectError) as caught:
        connect(lambda: from_url(changed(url, **parts)))
    assert caught.value.failure.cause is cause, caught.value
    line = str(caught.value)
    assert line.startswith(f"{cause.value}: ")
    assert reason in line
    assert "\n" not in line
    if cause is not Cause.BUSY:
        assert "DATABASE_URL" in line


@pytest.mark.parametrize("content", [None, "", "garbage", "*:*:*:*:wrong\n"])
def test_bad_password_file_is_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    if content is not None:
        (tmp_path / "pass").write_text(content)
        (tmp_path / "pass").chmod(0o600)
    with pytest.raises(ConnectError, match=r"rejects the password: .*PGPASSFILE") as caught:
        connect(lambda: from_url(changed(url, password=None)))
    assert not caught.value.failure.transient


def test_full_server_may_be_tried_again(url: str) -> None:
    with ExitStack() as stack:
        caught = _last_error(url, stack)
    assert caught.failure.cause is Cause.BUSY
    assert caught.failure.transient


def _last_error(url: str, stack: ExitStack) -> ConnectError:
    while True:
        try:
            stack.enter_context(connect(lambda: from_url(url)))
        except ConnectError as error:
            return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (pg.InvalidPassword("x"), Cause.PASSWORD),
        (pg.InvalidAuthorizationSpecification("x"), Cause.USER),
        (pg.InsufficientPrivilege("x"), Cause.USER),
        (pg.InvalidCatalogName("x"), Cause.DATABASE),
        (pg.TooManyConnections("x"), Cause.BUSY),
        (pg.CannotConnectNow("x"), Cause.STARTING),
        (pg.AdminShutdown("x"), Cause.STARTING),
        (pg.CrashShutdown("x"), Cause.STARTING),
    ],
)
def test_sqlstate_decides_where_there_is_one(error: psycopg.Error, cause: Cause) -> None:
    assert failure(error).cause is cause


FATAL = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: FATAL:  '


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (FATAL + "the database system is starting up", Cause.STARTING),
        (FATAL + "the database system is shutting down", Cause.STARTING),
        (FATAL + "the database system is in recovery mode", Cause.STARTING),
        (FATAL + "the database system is not yet accepting connections", Cause.STARTING),
        (FATAL + "sorry, too many clients already", Cause.BUSY),
        (FATAL + "remaining connection slots are reserved for roles with …", Cause.BUSY),
        (FATAL + 'PAM authentication failed for user "hpcobs"', Cause.PASSWORD),
        (FATAL + 'no pg_hba.conf entry for host "10.0.0.9", user "x"', Cause.USER),
        (FATAL + "something that nobody has seen yet", Cause.OTHER),
        ("SSL error: certificate verify failed", Cause.TLS),
        ('server certificate for "a" does not match host name "b"', Cause.TLS),
        ("connection timeout expired", Cause.UNREACHABLE),
        ("server closed the connection unexpectedly", Cause.UNREACHABLE),
        ("SSL connection has been closed unexpectedly", Cause.UNREACHABLE),
        ("SSL SYSCALL error: Connection reset by peer", Cause.UNREACHABLE),
        ("", Cause.UNREACHABLE),
    ],
)
def test_text_of_server_or_driver_is_classified(text: str, cause: Cause) -> None:
    assert failure(psycopg.OperationalError(text)).cause is cause


@pytest.mark.parametrize("pooled", [False, True])
def test_rejected_login_is_logged_and_not_shown(url: str, *, pooled: bool) -> None:
    settings = Settings(database_url=changed(url, password="wrong"))
    made = connect_arguments(settings)
    connections = PooledConnections(made, settings) if pooled else SingleConnection(made)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="rejects the password") as caught:
            PostgresStore(connections, OperationTimings()).ping()
        assert caught.value.message == "the database is not available"
    connections.close()


def test_pool_logs_in_with_current_password(url: str) -> None:
    """Like an IAM token, each password is valid for a while, and none is used twice."""
    role = conninfo_to_dict(changed(url, user="rotated"))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE ROLE rotated LOGIN")

        def made() -> dict[str, Any]:
            password = next(passwords)
            admin.execute(sql.SQL("ALTER ROLE rotated PASSWORD {}").format(password))
            return {**role, "password": password}

        passwords = (f"token {number}" for number in itertools.count())
        connections = PooledConnections(made, Settings(db_min_conns=1, db_max_conns=1))
        for _ in range(3):
            with connections.connection() as lent:
                name = lent.execute("SELECT current_user").fetchone()
                assert name == ("rotated",)
                lent.close()
        connections.close()


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        CredentialRetrievalError(provider="test", error_msg="gone"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole"),
    ],
)
def test_rejected_credentials_name_variable(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("botocore.session.Session.get_credentials", fail)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    settings = Settings(db_host="127.0.0.1", db_port=1, db_iam_auth=True)
    with pytest.raises(ConnectError, match=r"no AWS credentials.*DB_IAM_AUTH"):
        connect(connect_arguments(settings))


def test_missing_credentials_name_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    settings = Settings(db_host="127.0.0.1", db_port=1, db_iam_auth=True)
    with pytest.raises(ConnectError, match=r"no AWS credentials.*DB_IAM_AUTH"):
        connect(connect_arguments(settings))


def test_parts_name_their_variables() -> None:
    with pytest.raises(ConnectError, match="check DB_HOST and DB_PORT"):
        connect(connect_arguments(Settings(db_host="127.0.0.1", db_port=1)))


def test_deployment_gives_up_rejected_login_at_once(url: str) -> None:
    deployment = Deployment(
        lambda: from_url(changed(url, password="wrong")), user="x", patience_seconds=3600
    )
    with pytest.raises(ConnectError, match="rejects the password"):
        deployment.apply()


def test_deployment_waits_for_unreachable_database(url: str) -> None:
    target = conninfo_to_dict(url)
    port, connected = free_port(), threading.Event()

    def forward() -> None:
        time.sleep(1)
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.accept()[0].close()
            connected.set()

    thread = threading.Thread(target=forward)
    thread.start()

    def arguments() -> dict[str, Any]:
        return {**target, "port": target["port"] if connected.is_set() else port}

    assert Deployment(arguments, user="x", patience_seconds=60).apply()
    thread.join()
