"""A real forwarder process over a made-up tree."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.forwarder.conftest import SOURCE
from tests.forwarder.trees import V2Job, host
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from tests.forwarder.fake_site import Site


class Node:
    """A node with one job whose CPU time grows, its configuration, and its forwarder."""

    def __init__(self, root: Path, site: Site) -> None:
        self.root = root
        self.spool = root / "spool"
        self.fallback = root / "fallback"
        self.token = root / "token"
        self.token.write_text("secret\n")
        self.config = root / "node.conf"
        self._log = root / "forwarder.log"
        self.settings: dict[str, str] = {
            "HPCOBS_URL": site.url,
            "HPCOBS_NODE": "n1",
            "HPCOBS_TOKEN_FILE": str(self.token),
            "HPCOBS_SPOOL_DIR": str(self.spool),
            "HPCOBS_FALLBACK_DIR": str(self.fallback),
            "HPCOBS_TEXTFILE": str(root / "health.prom"),
            "HPCOBS_INTERVAL_SECONDS": "0.1",
            "HPCOBS_PUSH_SECONDS": "0.2",
        }
        self.configure()
        host(root)
        self.job = V2Job(root, "job_7")
        self.process: subprocess.Popen[str] | None = None

    def configure(self, **settings: str) -> None:
        self.settings.update(settings)
        lines = (f"{name}={value}\n" for name, value in self.settings.items())
        self.config.write_text("".join(lines))

    def command(self, *arguments: str) -> list[str]:
        options = ["--config", str(self.config), "--sysfs-root", str(self.root)]
        return [sys.executable, "-m", "hpcobs_forwarder", *arguments, *options]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                self.command(*arguments), env=environment(), stderr=log, text=True, **options
            )
        return self.process

    def log(self) -> str:
        """Return what all processes so far wrote to standard error."""
        return self._log.read_text()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> str:
        """Stop the process if it still runs. Return its log."""
        if self.process is None:
            return ""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.log()


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)}
