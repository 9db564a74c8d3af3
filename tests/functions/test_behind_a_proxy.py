"""``DB_PROXY``: functions leave nothing in a session that others use in the next transaction.

PgBouncer stands in for RDS Proxy. It has one connection to PostgreSQL, which all clients share in
turn, and does not track prepared statements.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.functions.attacks import END, JOB, N1, SAMPLE, START
from tests.functions.sites import site_on
from tests.ports import free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functions.gateway import Gateway

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
CONFIGURATION = """
[databases]
{dbname} = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
query_wait_timeout = 60
"""
LEFT_BEHIND = """
SELECT 'statement ' || name FROM pg_prepared_statements
UNION ALL SELECT 'setting ' || name FROM pg_settings
WHERE source = 'session' AND name NOT LIKE 'transaction\\_%'
UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory'
"""

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Debian's pgbouncer is not installed")


@pytest.fixture
def proxy_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """Start PgBouncer before the test's database, with a site's parameters."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for setting in ("timezone = 'UTC'", "jit = off"):
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    where = conninfo_to_dict(database_url)
    port = free_port()
    file = tmp_path / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(**where, listen_port=port))
    assert PROGRAM is not None
    # It does not run as root.
    command = [PROGRAM, "-q", "-u", "nobody", str(file)]
    with (tmp_path / "pgbouncer.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    url = make_conninfo(database_url, host="127.0.0.1", port=port)
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def proxied(proxy_url: str) -> Iterator[Gateway]:
    """Provide a site whose functions reach their database by the proxy."""
    with site_on(proxy_url, DB_PROXY="true") as site:
        yield site


def _life(site: Gateway, number: int) -> None:
    """Call all routes that use the database, for one job from events and one posted.

    The sample is staged in temporary tables. They stay, empty, and whoever stages next finds them.
    """
    reported, posted = f"{number}", f"{number}000"
    statuses = [
        site.post("/v1/events/job-started", {**START, "job_id": reported}, authorization=N1).status,
        site.post("/v1/events/job-finished", {**END, "job_id": reported}, authorization=N1).status,
        site.post("/v1/jobs", {**JOB, "id": posted}).status,
        site.post(f"/v1/jobs/{posted}/metrics", SAMPLE).status,
        site.send("PATCH", f"/v1/jobs/{posted}", json={"cpu_usage": 9}).status,
        *(
            site.get(path).status
            for path in (
                "/v1/jobs",
                f"/v1/jobs/{posted}",
                f"/v1/jobs/{posted}/metrics",
                f"/v1/jobs/{posted}/gpus",
                f"/v1/jobs/{posted}/audit",
                "/v1/health",
                "/metrics",
            )
        ),
        site.send("DELETE", f"/v1/jobs/{posted}").status,
    ]
    assert statuses == [200, 200, 201, 201, 200, *[200] * 7, 204]


def test_functions_leave_nothing_in_shared_session(proxied: Gateway, proxy_url: str) -> None:
    with psycopg.connect(proxy_url, autocommit=True, prepare_threshold=None) as other:
        for number in range(1, 8):  # more often than psycopg waits until it prepares a statement
            _life(proxied, number)
            left: list[Any] = other.execute(LEFT_BEHIND).fetchall()
            assert left == []


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    def connected() -> bool:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert process.poll() is None
            return False
        return True

    eventually(connected)
