"""A real ``hpcobs up`` in a process of its own, as a user would start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.local.processes import MARK, marked, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 5.0
COMMAND = (sys.executable, "-P", "-m", "hpcobs_cli")


class Service:
    """``hpcobs up`` on a folder, on a free port; ``prefix`` goes before the command."""

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
        """Start it."""
        self._url_file.unlink(missing_ok=True)
        self._begun = time.monotonic()
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
        """Start it and wait for its first answer."""
        self.begin()
        self._wait_for_answer()
        self.start_seconds = time.monotonic() - self._begun
        return self

    def _wait_for_answer(self) -> None:
        deadline = self._begun + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"it ended: {self.output()}")
            if self._url_file.exists():
                response = httpx.get(self.url + "/v1/health")
                if response.status_code == httpx.codes.OK:
                    return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"no answer within {START_SECONDS} s: {self.output()}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started."""
        assert self._process is not None, "it has not been started"
        return self._process

    @property
    def _url_file(self) -> Path:
        return self.folder / "url"

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._url_file.read_text().strip()

    @property
    def token(self) -> str:
        """The administrator's token."""
        return (self.folder / "token").read_text().strip()

    def client(self, token: str | None = None) -> httpx.Client:
        """A client with a token, the administrator's if none is given."""
        headers = {"authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at ``path``."""
        with self.client() as client:
            response = client.get(path, params=query)
            assert response.is_success, response.text
            return response.json()

    def processes(self) -> dict[int, str]:
        """All its processes with their command lines."""
        return marked(self.mark)

    def pid_of(self, part: str) -> int:
        """The process whose command line contains ``part``; the first if there are several."""
        return min(pid for pid, command in self.processes().items() if part in command)

    def wait_for_processes(self, count: int) -> None:
        """Wait until its start has got as far as to have so many processes."""
        self.wait_until(lambda: len(self.processes()) >= count or self._url_file.exists())

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for what must come to pass."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it did not come to pass: {self.output()}"
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> float:
        """Signal the whole process group, as a terminal does; the seconds until nothing was left.

        What is left after STOP_SECONDS is killed, and fails the test.
        """
        begun = time.monotonic()
        os.killpg(self.process.pid, number)
        left = wait_until_gone(self.mark, STOP_SECONDS)
        seconds = time.monotonic() - begun
        self.kill()
        assert not left, f"left after {STOP_SECONDS} s: {left}\n{self.output()}"
        return seconds

    def kill(self) -> None:
        """End all that is left of it."""
        for pid in self.processes():
            _kill(pid)
        if self._process is not None:
            self._process.wait(10)

    def output(self) -> str:
        """All that it has printed since it began."""
        return self._output_file.read_text()

    def __enter__(self) -> Self:
        """Start it, unless it has been."""
        running = self._process is not None and self._process.poll() is None
        return self if running else self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self.kill()


def _kill(pid: int) -> None:
    """SIGKILL, unless the process has gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def run_command(
    *arguments: str, cwd: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """An ``hpcobs`` command that ends by itself."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={**clean_environment(), **(environ or {})},
        timeout=60,
        check=False,
        cwd=cwd,
    )


OURS = ("HPCOBS_", "DB_", "AUTH_", "SLURM_", "SAMPLES_", "COLLECT_", "METRICS_")
ALSO_OURS = ("DATABASE_URL", "HOST", "PORT", "SEED_DEMO", "CLUSTER_NAME", "SCHEDULER_BACKEND")


def clean_environment() -> dict[str, str]:
    """This process's environment without what would configure the service."""
    return {name: value for name, value in os.environ.items() if not is_ours(name)}


def is_ours(name: str) -> bool:
    """Whether the variable would configure the service or the command."""
    return name.startswith(OURS) or name in ALSO_OURS
