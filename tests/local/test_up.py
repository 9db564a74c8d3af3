"""``hpcobs up`` begins, ends, and begins again, and leaves nothing behind."""

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

from hpcobs_local.folder import Folder, write
from hpcobs_local.options import Options
from hpcobs_local.service import Running
from hpcobs_local.up import _commands
from tests.local.processes import wait_until_gone
from tests.local.services import run_command

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


def test_it_begins_ends_and_finds_its_data_again(make: Make) -> None:
    service = make("--no-simulate", "--token-file=mine").start()
    assert service.start_seconds < 60
    assert (service.folder.parent / "mine").read_text().strip() == service.token
    with service.client() as client:
        assert client.post("/v1/jobs", json=JOB).status_code == 201
    token = service.token
    assert service.stop(signal.SIGINT) < 5
    assert service.process.returncode == 0
    assert_explained(service, token)
    assert_tidy(service.folder)

    with service.start():
        assert service.start_seconds < 15
        assert service.get("/v1/jobs/1")["user"] == "ada"
        with service.client(token) as client:
            assert client.get("/v1/jobs").status_code == 200


def assert_explained(service: Service, token: str) -> None:
    """It told its address, a token, and three commands to try; plainly, as nobody watches."""
    output = service.output()
    assert re.search(r"answers on http://127\.0\.0\.1:\d+", output)
    assert token in output.split()
    for command in ("/v1/jobs?state=running", " jobs", "/metrics"):
        assert command in output
    assert "\x1b" not in output
    assert output.rstrip().endswith("hpcobs: stopped")


def assert_tidy(folder: Path) -> None:
    """Data, secrets and logs are there; no lock, no pid, no address."""
    assert {path.name for path in folder.iterdir()} == {"logs", "postgres", "secret", "token"}
    assert not (folder / "postgres" / "data" / "postmaster.pid").exists()
    for name in ("secret", "token"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_what_it_says_to_try_can_be_typed_whatever_its_folder_is_called(tmp_path: Path) -> None:
    options = Options(data_dir=tmp_path / "ada's own data")
    folder = Folder(options.data_dir)
    folder.make()
    write(folder.token_file, "the-token")
    service = Running("http://127.0.0.1:8080", "the-token", folder, ended=lambda: asyncio.sleep(0))
    curl, jobs, metrics = _commands(service, options)
    for command in (curl, metrics):
        shown = ["bash", "-c", command.replace("curl", "printf '%s,'", 1)]
        words = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split(",")
        assert words[1:3] == ["-H", "Authorization: Bearer the-token"]
    assert shlex.split(jobs)[-2:] == ["--data-dir", str(options.data_dir)]


def test_a_termination_ends_it_with_its_simulated_cluster(make: Make) -> None:
    service = make().start()
    assert service.stop(signal.SIGTERM) < 5
    assert service.process.returncode == 0
    assert_tidy(service.folder)


def test_ended_in_the_middle_of_its_start_it_leaves_nothing(make: Make) -> None:
    service = make()
    for delay_steps in (0, 2, 4, 6):
        service.begin()
        service.wait_for_processes(delay_steps)
        assert service.stop(signal.SIGTERM) < 5
        assert not (service.folder / "url").exists()
    with service.start():
        assert service.get("/v1/health")["status"] == "healthy"


def test_killed_outright_it_leaves_nothing_running_and_starts_again(make: Make) -> None:
    service = make().start()
    with service.client() as client:
        assert client.post("/v1/jobs", json=JOB).status_code == 201
    service.process.kill()
    assert not wait_until_gone(service.mark, 5)
    service.kill()
    with service.start():
        assert service.get("/v1/jobs/1")["user"] == "ada"


def test_a_second_one_in_the_same_folder_is_refused(make: Make, tmp_path: Path) -> None:
    with make("--no-simulate") as service:
        refused = run_command("up", "--port=0", f"--data-dir={service.folder}", cwd=tmp_path)
        assert refused.returncode == 1
        assert refused.stderr == (
            f"hpcobs: hpcobs is already running in {service.folder}, at {service.url}\n"
        )
        assert service.get("/v1/jobs")["total"] == 0
        assert service.stop(signal.SIGHUP) < 5
        assert service.process.returncode == 0


def test_a_port_that_is_taken_is_refused_and_nothing_is_started(tmp_path: Path) -> None:
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
def test_what_cannot_be_used_is_one_line_and_nothing_is_started(
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
def test_a_bad_variable_stops_the_start_before_anything_is_started(
    variable: str, tmp_path: Path
) -> None:
    name, _, value = variable.partition("=")
    refused = run_command("up", "--data-dir=data", cwd=tmp_path, environ={name: value})
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"hpcobs: {name}: must be ")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_bad_setting_is_one_line_that_names_it(tmp_path: Path) -> None:
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


def test_a_database_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    refused = run_command("up", "--port=0", f"--database-url={url}", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("hpcobs: the database cannot be prepared: ")
    assert refused.stderr.count("\n") == 1


def test_a_database_that_is_named_is_used(database_url: str, make: Make) -> None:
    arguments = ("--no-simulate", f"--database-url={database_url}")
    with make(*arguments) as service, service.client() as client:
        assert client.post("/v1/jobs", json=JOB).status_code == 201
        assert not (service.folder / "postgres").exists()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT id FROM jobs").fetchall() == [("1",)]


PARTS = ("hpcobs_local.environment functions.api", "hpcobs_local.simulator", "bin/postgres -D")


def test_a_part_that_dies_comes_back(make: Make) -> None:
    with make("--nodes=2", "--jobs=1") as service:
        killed = {part: service.pid_of(part) for part in PARTS}
        for pid in killed.values():
            os.kill(pid, signal.SIGKILL)
        for part, pid in killed.items():
            service.wait_until(partial(came_back, service, part, pid))
        service.wait_until(lambda: answers(service))


def came_back(service: Service, part: str, killed: int) -> bool:
    return any(part in it for pid, it in service.processes().items() if pid != killed)


def answers(service: Service) -> bool:
    with service.client() as client:
        return client.get("/v1/jobs").status_code == httpx.codes.OK


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not here")
def test_it_needs_no_root(make: Make, tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(tmp_path, nobody.pw_uid, nobody.pw_gid)
    identity = (f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    # Interpreter and data may lie in folders of root's: reading is all that is kept of root.
    reading = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    prefix = ("setpriv", *identity, *reading)
    with make("--no-simulate", prefix=prefix) as service:
        owners = {os.stat(f"/proc/{pid}").st_uid for pid in service.processes()}  # noqa: PTH116
        assert owners == {nobody.pw_uid}
        assert service.get("/v1/jobs")["total"] == 0
