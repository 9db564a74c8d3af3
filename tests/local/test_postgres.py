"""The embedded PostgreSQL starts after an earlier start was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs_local.postgres.server import EmbeddedPostgres

if TYPE_CHECKING:
    from pathlib import Path

START = """
import pathlib, sys
from hpcobs_local.postgres.server import EmbeddedPostgres
EmbeddedPostgres(pathlib.Path(sys.argv[1])).start()
"""


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.2, 0.3])
def test_start_works_after_killed_initdb(tmp_path: Path, seconds: float) -> None:
    folder = tmp_path / "postgres"
    first = subprocess.Popen([sys.executable, "-c", START, str(folder)], start_new_session=True)
    while not list(folder.glob("*")):
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert {path.name for path in folder.iterdir()} == {"data", "password", "postgres.log"}
