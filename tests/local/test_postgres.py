"""The embedded PostgreSQL starts on whatever an earlier start left, and stops no other server."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs_local.postgres import left_behind, supervised
from hpcobs_local.postgres.programs import PostgresError, StoppedError
from hpcobs_local.postgres.server import EmbeddedPostgres
from hpcobs_local.postgres.supervised import SupervisedPostgres
from tests.local.processes import alive, marked, wait_until_gone
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.local.conftest import Program

WAIT_SECONDS = 60.0
START = """
import pathlib, sys, time
from hpcobs_local.postgres.server import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make data once, which takes longer than most of these tests."""
    folder = tmp_path_factory.mktemp("made") / "postgres"
    with EmbeddedPostgres(folder):
        pass
    return folder


@pytest.fixture
def filled(made: Path, folder: Path) -> Path:
    """Return a folder with the data of a server that was stopped."""
    return copied(made, folder)


def copied(folder: Path, to: Path) -> Path:
    """Copy a folder with its owners: PostgreSQL runs as the owner of its data."""
    subprocess.run(["cp", "-a", str(folder), str(to)], check=True)
    return to


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that has nothing to do with PostgreSQL."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def answer(server: EmbeddedPostgres) -> object:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT 1").fetchone()


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.3])
def test_start_works_after_killed_initdb(folder: Path, program: Program, seconds: float) -> None:
    first = program(START, str(folder))
    eventually(lambda: list(folder.glob("*")))
    time.sleep(seconds)
    os.killpg(first.process.pid, signal.SIGKILL)
    assert not wait_until_gone(first.mark, WAIT_SECONDS)
    with EmbeddedPostgres(folder) as server:
        assert answer(server) == (1,)
    assert {path.name for path in folder.iterdir()} == {"data", "password", "postgres.log"}


def test_killed_owner_leaves_no_server(filled: Path, program: Program) -> None:
    owner = program(START, str(filled))
    assert owner.process.stdout is not None
    assert owner.process.stdout.readline()
    owner.process.kill()
    assert not wait_until_gone(owner.mark, WAIT_SECONDS)


def test_start_stops_server_left_behind(filled: Path, program: Program) -> None:
    owner = program(START, str(filled))
    assert owner.process.stdout is not None
    left = int(owner.process.stdout.readline())
    # The guard of the server is killed first, and then the owner: nobody stops the server.
    for pid, command in marked(owner.mark).items():
        if "hpcobs-guard" in command:
            os.kill(pid, signal.SIGKILL)
    owner.process.kill()
    owner.process.wait()
    assert alive(left)
    with EmbeddedPostgres(filled) as server:
        assert not alive(left)
        assert answer(server) == (1,)


def test_copied_folder_leaves_original_running(filled: Path) -> None:
    # The copy's path begins with the original's, and the other way around.
    copies = [filled.with_name(name) for name in ("postgres2", "post", "my postgres")]
    with EmbeddedPostgres(filled) as original, ExitStack() as stack:
        with psycopg.connect(original.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        pid = original.pid
        for copy in copies:
            second = stack.enter_context(EmbeddedPostgres(copied(filled, copy)))
            assert original.pid == pid
            assert answer(original) == answer(second) == (1,)
            assert second.pid != pid


def test_moved_folder_is_still_recognized(filled: Path) -> None:
    with EmbeddedPostgres(filled) as server:
        moved = filled.rename(filled.with_name("moved"))
        assert server.pid is not None
        assert left_behind.is_server(server.pid, moved / "data")
        moved.rename(filled)


def stale(data: Path, first_line: object) -> None:
    text = f"{first_line}\n{data}\n1700000000\n5432\n\n127.0.0.1\n  1   1\nready   \n"
    (data / left_behind.PID_FILE).write_text(text)


@pytest.mark.parametrize("content", ["", "garbage", "-4\n", "0\n", "1\n", "99999999999999\n"])
def test_damaged_pid_file_does_not_matter(filled: Path, content: str) -> None:
    (filled / "data" / left_behind.PID_FILE).write_text(content)
    with EmbeddedPostgres(filled) as server:
        assert answer(server) == (1,)


def test_stale_pid_of_other_process_is_spared(
    filled: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    server = EmbeddedPostgres(filled)
    for pid in (sleeper.pid, os.getpid(), os.getppid()):
        stale(server.data, pid)
        with server:
            assert answer(server) == (1,)
    assert sleeper.poll() is None


def test_process_that_names_data_is_spared(filled: Path) -> None:
    server = EmbeddedPostgres(filled)
    # A program that is called like the server, but runs in another filled.
    command = ["-c", "sleep 600; exit", "postgres", "-D", str(server.data)]
    with subprocess.Popen(["bash", *command], executable="/bin/bash") as other:
        for arguments in ({"cwd": "/"}, {"cwd": server.data}):
            assert not left_behind.is_server(other.pid, server.data), arguments
        stale(server.data, other.pid)
        with server:
            assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1, 0.3, 1.0])
def test_stop_interrupts_start_of_other_thread(folder: Path, delay: float) -> None:
    server = EmbeddedPostgres(folder)
    raised: list[BaseException] = []

    def start() -> None:
        try:
            server.start()
        except PostgresError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    time.sleep(delay)
    server.close()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert server.pid is None
    with pytest.raises(StoppedError):
        server.start()
    with EmbeddedPostgres(folder) as again:
        assert answer(again) == (1,)


def test_restart_takes_free_port(filled: Path) -> None:
    with EmbeddedPostgres(filled) as server:
        url = server.url
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: server.pid is None)
        assert server.start() == url
        assert answer(server) == (1,)


def test_taken_port_is_never_mistaken(filled: Path) -> None:
    """A copy's server on the same port has the same password."""
    copy = copied(filled, filled.with_name("copy"))
    with EmbeddedPostgres(filled) as first:
        port = int(first.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(PostgresError, match="did not start"):
            EmbeddedPostgres(copy, port).start()
        assert answer(first) == (1,)


def test_server_without_free_connection_lives(filled: Path) -> None:
    settings = {"max_connections": "4", "superuser_reserved_connections": "1"}
    few = {**settings, "max_wal_senders": "0", "reserved_connections": "0"}
    with EmbeddedPostgres(filled, settings=few) as server, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(psycopg.connect(server.url))
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            psycopg.connect(server.url)
        assert server.responds()


def test_frozen_server_counts_as_dead_later(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "SILENT_SECONDS", 0.0)
    guarded = SupervisedPostgres(filled)
    server = guarded._server
    with server:
        assert guarded._lives() is False
        monkeypatch.setattr(supervised, "SILENT_SECONDS", 600.0)
        assert guarded._lives() is True
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert not server.responds()
            assert guarded._lives() is True
            monkeypatch.setattr(supervised, "SILENT_SECONDS", 0.0)
            assert guarded._lives() is False
        finally:
            os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize("content", [None, "", "  \n", "wrong\n", b"\xff\xfe"])
def test_bad_password_file_is_named_at_once(filled: Path, content: str | bytes | None) -> None:
    file = filled / "password"
    file.unlink()
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    server = EmbeddedPostgres(filled)
    with pytest.raises(PostgresError, match=r"the password of PostgreSQL in .*password cannot be"):
        server.start()
    assert server.pid is None
