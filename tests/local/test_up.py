"""``hpcobs up`` starts, stops and starts again, and leaves no process and no lock."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hpcobs.storage.queries import load
from hpcobs_local.folder import Folder, write
from hpcobs_local.options import Options
from hpcobs_local.service import Running
from hpcobs_local.up import _example_commands
from tests.local.processes import wait_until_gone
from tests.local.services import STOP_SECONDS, run_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.local.services import Service

    Make = Callable[..., Service]


JOB = {
    "id": "1",
    "user": "ada",
    "nodes": ["n1"],
    "start_time": "2026-11-02T08:00:00Z",
}


def test_restart_finds_earlier_data(make: Make) -> None:
    service = make("--no-simulate", "--token-file=mine").start()
    assert (service.folder.parent / "mine").read_text().strip() == service.token
    with service.client() as client:
        assert client.post("/v1/jobs", json=JOB).status_code == 201
    token = service.token
    service.stop(signal.SIGINT)
    assert service.process.returncode == 0
    assert_output_helps(service, token)
    assert_tidy(service.folder)

    with service.start():
        assert service.get("/v1/jobs/1")["user"] == "ada"
        with service.client(token) as client:
            assert client.get("/v1/jobs").status_code == 200


def assert_output_helps(service: Service, token: str) -> None:
    """Check that the output has URL, token and three examples, without terminal colours."""
    output = service.output()
    assert re.search(r"is running on http://127\.0\.0\.1:\d+", output)
    assert token in output.split()
    for command in ("/v1/jobs?state=running", " jobs", "/metrics"):
        assert command in output
    assert "\x1b" not in output
    assert output.rstrip().endswith("hpcobs: stopped")


def assert_tidy(folder: Path) -> None:
    """Check that data, secrets and logs are left, and no lock, process id or URL."""
    assert {path.name for path in folder.iterdir()} == {"logs", "postgres", "secret", "token"}
    assert not (folder / "postgres" / "data" / "postmaster.pid").exists()
    for name in ("secret", "token"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_example_commands_work_with_odd_folder_name(tmp_path: Path) -> None:
    options = Options(data_dir=tmp_path / "ada's own data")
    folder = Folder(options.data_dir)
    folder.create()
    write(folder.token_file, "the-token")
    service = Running("http://127.0.0.1:8080", "the-token", folder, ended=lambda: asyncio.sleep(0))
    curl, jobs, metrics = _example_commands(service, options)
    for command in (curl, metrics):
        shown = ["bash", "-c", command.replace("curl", "printf '%s,'", 1)]
        words = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split(",")
        assert words[1:3] == ["-H", "Authorization: Bearer the-token"]
    assert shlex.split(jobs)[-2:] == ["--data-dir", str(options.data_dir)]


def test_sigterm_stops_service_with_simulator(make: Make) -> None:
    service = make().start()
    service.stop(signal.SIGTERM)
    assert service.process.returncode == 0
    assert_tidy(service.folder)


def test_stop_during_start_leaves_no_process(make: Make) -> None:
    service = make()
    for delay_steps in (0, 2, 4, 6):
        service.begin()
        service.wait_for_processes(delay_steps)
        service.stop(signal.SIGTERM)
        assert not (service.folder / "url").exists()
    with service.start():
        assert service.get("/v1/health")["status"] == "healthy"


def test_killed_service_leaves_no_process(make: Make) -> None:
    service = make().start()
    with service.client() as client:
        assert client.post("/v1/jobs", json=JOB).status_code == 201
    service.process.kill()
    assert not wait_until_gone(service.mark, STOP_SECONDS)
    service.kill()
    with service.start():
        assert service.get("/v1/jobs/1")["user"] == "ada"


def test_second_service_in_folder_is_refused(make: Make, tmp_path: Path) -> None:
    with make("--no-simulate") as service:
        refused = run_command("up", "--port=0", f"--data-dir={service.folder}", cwd=tmp_path)
        assert refused.returncode == 1
        assert refused.stderr == (
            f"hpcobs: hpcobs is already running in {service.folder}, at {service.url}\n"
        )
        assert service.get("/v1/jobs")["total"] == 0
        service.stop(signal.SIGHUP)
        assert service.process.returncode == 0


def test_taken_port_stops_start_early(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run_command("up", f"--port={port}", "--data-dir=data", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == f"hpcobs: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert not (tmp_path / "data" / "postgres").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--data-dir=file",), "file: File exists"),
        (("--data-dir=data", "--token-file=no/token"), "cannot write no/token: No such file"),
        (("--data-dir=data", "--host=999.0.0.1"), "cannot listen on 999.0.0.1:0: "),
    ],
)
def test_bad_option_stops_start_with_one_line(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    refused = run_command("up", "--port=0", *arguments, cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"hpcobs: {complaint}")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "data" / "postgres").exists()


@pytest.mark.parametrize(
    "variable", ["PORT=abc", "SEED_DEMO=maybe", "SCHEDULER_BACKEND=pbs", "DATABASE_URL=mysql://x"]
)
def test_bad_variable_stops_start_with_one_line(variable: str, tmp_path: Path) -> None:
    name, _, value = variable.partition("=")
    environ = {"PORT": "0", name: value}
    refused = run_command("up", "--data-dir=data", cwd=tmp_path, environ=environ)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"hpcobs: {name}: must be ")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "data" / "postgres").exists()


def test_bad_setting_is_named_in_one_line(tmp_path: Path) -> None:
    refused = run_command(
        "up",
        "--port=0",
        "--database-url=postgresql://nobody@127.0.0.1:1/none",
        cwd=tmp_path,
        environ={"METRICS_RETENTION_DAYS": "none"},
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("hpcobs: METRICS_RETENTION_DAYS: ")
    assert refused.stderr.count("\n") == 1


def test_unreachable_database_stops_start_with_one_line(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    refused = run_command("up", "--port=0", f"--database-url={url}", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("hpcobs: the database cannot be prepared: ")
    assert refused.stderr.count("\n") == 1


def test_given_database_is_used(database_url: str, make: Make) -> None:
    arguments = ("--no-simulate", f"--database-url={database_url}")
    with make(*arguments) as service, service.client() as client:
        assert client.post("/v1/jobs", json=JOB).status_code == 201
        assert not (service.folder / "postgres").exists()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT id FROM jobs").fetchall() == [("1",)]


def test_newer_database_is_served_with_warning(database_url: str, make: Make) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO schema_migrations (name) VALUES ('9999_later')")
    with make("--no-simulate", f"--database-url={database_url}") as service:
        assert service.get("/v1/jobs")["total"] == 0
        assert "hpcobs: the database is at migration 9999_later, " in service.output()


def test_wrong_password_stops_start_at_once(database_url: str, tmp_path: Path) -> None:
    url = make_conninfo(database_url, password="wrong")
    refused = run_command("up", "--port=0", f"--database-url={url}", cwd=tmp_path)
    assert refused.returncode == 1
    assert "cannot be prepared: the database rejects the password: " in refused.stderr
    assert "DATABASE_URL" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_wrong_password_file_is_named(make: Make, tmp_path: Path) -> None:
    service = make("--no-simulate").start()
    service.stop()
    (service.folder / "postgres" / "password").write_text("wrong\n")
    refused = run_command("up", "--port=0", f"--data-dir={service.folder}", cwd=tmp_path)
    assert refused.returncode == 1
    assert "postgres/password cannot be used: PostgreSQL rejects it" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_stop_does_not_wait_for_migrations(database_url: str, make: Make) -> None:
    """Another deployment may hold the lock for long."""
    with psycopg.connect(database_url) as connection:
        connection.execute(load("migrations")["lock"])
        service = make("--no-simulate", f"--database-url={database_url}")
        service.begin()
        waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        service.wait_until(lambda: connection.execute(waiting).rowcount > 0)
        service.stop(signal.SIGTERM)
        assert service.process.returncode == 0


PARTS = ("hpcobs_local.handler_process functions.api", "hpcobs_local.simulator", "bin/postgres -D")


def test_dead_processes_are_restarted(make: Make) -> None:
    with make("--nodes=2", "--jobs=1") as service:
        killed = {part: service.pid_of(part) for part in PARTS}
        for pid in killed.values():
            os.kill(pid, signal.SIGKILL)
        for part, pid in killed.items():
            service.wait_until(partial(restarted, service, part, pid))
        service.wait_until(lambda: answers(service))


def restarted(service: Service, part: str, killed: int) -> bool:
    return any(part in it for pid, it in service.processes().items() if pid != killed)


def answers(service: Service) -> bool:
    with service.client() as client:
        return client.get("/v1/jobs").status_code == httpx.codes.OK


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_service_runs_without_root(make: Make, tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(tmp_path, nobody.pw_uid, nobody.pw_gid)
    identity = (f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    # Interpreter and data may lie in folders of root: only the right to read is kept.
    reading = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    prefix = ("setpriv", *identity, *reading)
    with make("--no-simulate", prefix=prefix) as service:
        owners = {os.stat(f"/proc/{pid}").st_uid for pid in service.processes()}  # noqa: PTH116
        assert owners == {nobody.pw_uid}
        assert service.get("/v1/jobs")["total"] == 0
