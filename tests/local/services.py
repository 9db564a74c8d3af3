"""A real ``hpcobs up`` in a separate process, as a user starts it."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.local.processes import MARK, kill_marked, marked, wait_until_gone
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 90.0
STOP_SECONDS = 60.0
"""Bounds of waits. They only end a test that fails: the bench measures how fast a stop is."""

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of HTTP alone. To load the host's authorities takes 40 ms of CPU for each client."""

COMMAND = (sys.executable, "-P", "-m", "hpcobs_cli")


class Service:
    """``hpcobs up`` on a folder and a free port. ``prefix`` goes before the command."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self._command = [*prefix, *COMMAND, "up", "--port", "0", "--data-dir", str(folder)]
        self._command += arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._output_file = folder.with_name(f"{folder.name}.out")
        self._environ = {**clean_environment(), **(environ or {}), MARK: self.mark}

    def begin(self) -> None:
        """Start the process."""
        self._url_file.unlink(missing_ok=True)
        with self._output_file.open("w") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
                cwd=self.folder.parent,
            )

    def start(self) -> Self:
        """Start the process and wait for its first response."""
        self.begin()
        self._wait_until_ready()
        return self

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"it ended: {self.output()}")
            if self._url_file.exists():
                response = httpx.get(
                    self.url + "/v1/health", timeout=START_SECONDS, verify=NO_AUTHORITIES
                )
                if response.status_code == httpx.codes.OK:
                    return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"no answer within {START_SECONDS} s: {self.output()}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the command."""
        assert self._process is not None, "it has not been started"
        return self._process

    @property
    def _url_file(self) -> Path:
        return self.folder / "url"

    @property
    def url(self) -> str:
        """The URL of the service."""
        return self._url_file.read_text().strip()

    @property
    def token(self) -> str:
        """The administrator's token."""
        return (self.folder / "token").read_text().strip()

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a client with a token, by default the administrator's."""
        headers = {"authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=NO_AUTHORITIES)

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON at ``path``."""
        with self.client() as client:
            response = client.get(path, params=query)
            assert response.is_success, response.text
            return response.json()

    def processes(self) -> dict[int, str]:
        """Return the command lines of all its processes, by process id."""
        return marked(self.mark)

    def pid_of(self, part: str) -> int:
        """Return the id of the first process whose command line contains ``part``."""
        return min(pid for pid, command in self.processes().items() if part in command)

    def wait_for_processes(self, count: int) -> None:
        """Wait until the start has reached so many processes, or is complete."""
        self.wait_until(lambda: len(self.processes()) >= count or self._url_file.exists())

    def wait_until(self, condition: Callable[[], bool], seconds: float = 90.0) -> None:
        """Wait until ``condition`` holds. Fail after ``seconds``."""
        eventually(condition, seconds, every=0.05, log=self.output)

    def send(self, number: int, *, alone: bool = False) -> None:
        """Signal the process group, as a terminal does, or the process alone."""
        # A process that was waited for has given its number back.
        if self.process.poll() is None:
            (os.kill if alone else os.killpg)(self.process.pid, number)

    def stop(self, number: int = signal.SIGINT, *, alone: bool = False) -> None:
        """Send a signal, and wait until no process is left.

        Kill those that are left after STOP_SECONDS, and fail.
        """
        self.send(number, alone=alone)
        left = wait_until_gone(self.mark, STOP_SECONDS)
        self.kill()
        assert not left, f"left after {STOP_SECONDS} s: {left}\n{self.output()}"

    def kill(self) -> None:
        """Kill all its processes."""
        kill_marked(self.mark)
        if self._process is not None:
            self._process.wait(STOP_SECONDS)

    def output(self) -> str:
        """Return its output since the last start."""
        return self._output_file.read_text()

    def __enter__(self) -> Self:
        """Start the service unless it runs."""
        running = self._process is not None and self._process.poll() is None
        return self if running else self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self.kill()


def run_command(
    *arguments: str, cwd: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run an ``hpcobs`` command until it ends."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={**clean_environment(), **(environ or {})},
        timeout=STOP_SECONDS,
        check=False,
        cwd=cwd,
    )


OURS = ("HPCOBS_", "DB_", "AUTH_", "SLURM_", "SAMPLES_", "COLLECT_", "METRICS_")
ALSO_OURS = ("DATABASE_URL", "HOST", "PORT", "SEED_DEMO", "CLUSTER_NAME", "SCHEDULER_BACKEND")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of the service."""
    return {name: value for name, value in os.environ.items() if not is_ours(name)}


def is_ours(name: str) -> bool:
    """Return whether the variable is a setting of the service or the command."""
    return name.startswith(OURS) or name in ALSO_OURS
