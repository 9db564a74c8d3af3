"""A service under test with its settings, and what may be done to it from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from tests.books.database import Database, url_of
from tests.books.plan import HOME
from tests.books.workers import moving_clock
from tests.local.services import Service
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.books.workers import Work, Workers

UNREACHABLE = (psycopg.Error, OSError, IndexError)
"""Errors while PostgreSQL is down, or its file is half written."""

SETTLE_SECONDS = 90.0


@dataclass
class Site:
    """``hpcobs up`` on a folder, as a user starts it, and further runs of its functions."""

    folder: Path
    workers: Workers
    retention_days: int = 7
    service: Service = field(init=False)
    starts: int = 0

    @property
    def database(self) -> Database:
        """Return its database."""
        return Database(self.folder)

    @property
    def settings(self) -> dict[str, str]:
        """Return the variables that its user sets."""
        return {
            "CLUSTER_NAME": HOME,
            "METRICS_RETENTION_DAYS": str(self.retention_days),
            "COLLECT_INTERVAL_SECONDS": "1",
        }

    def begin(self, ahead: str | None = None) -> None:
        """Start the service, all its clocks ``ahead`` if that is given."""
        environ = self.settings | (moving_clock(ahead) if ahead else {})
        self.service = Service(self.folder, "--no-simulate", environ=environ)
        self.service.start()
        self.starts += 1

    def restart(self, *, retention_days: int, kill: bool) -> None:
        """Stop or kill the service, and start it with another setting."""
        if kill:
            self.kill()
        else:
            self.service.stop()
        self.retention_days = retention_days
        self.begin()

    def kill(self) -> None:
        """Kill all processes of the service, and wait until the kernel has removed them."""
        killed = [*self.service.processes()]
        self.service.kill()
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in killed))

    def url(self) -> str:
        """Return the address of the service."""
        return self.service.url

    def start(
        self, function: str, *, ahead: str = "+0", event: dict[str, Any] | None = None
    ) -> Work:
        """Start a run of a function beside the service."""
        environ = {**self.settings, "DATABASE_URL": url_of(self.folder), "DB_MAX_CONNS": "1"}
        # One pass, and not one each second as long as it may run.
        environ["COLLECT_INTERVAL_SECONDS"] = "3600"
        return self.workers.start(function, environ, ahead=ahead, event=event)

    def run(
        self, function: str, *, ahead: str = "+0", event: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run a function beside the service, and return its report."""
        result = self.start(function, ahead=ahead, event=event).wait()
        assert "report" in result, (function, result)
        report: dict[str, Any] = result["report"]
        return report

    def show_messages(self) -> None:
        """Make the messages of killed collectors visible, as their visibility time-out does."""
        try:
            self.database.change("UPDATE sample_queue SET visible_at = now(), receive_count = 0")
        except UNREACHABLE:
            self.wait_for_database()

    def wait_for_database(self) -> None:
        """Wait until PostgreSQL answers."""
        eventually(self._answers, every=0.1, log=self.service.output)

    def _answers(self) -> bool:
        try:
            return bool(self.database.rows("SELECT 1"))
        except UNREACHABLE:
            return False

    def drain(self) -> None:
        """Collect until the queue is empty and no sample waits for a job that is known."""
        self.wait_for_database()
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.database.queued():
            assert time.monotonic() < deadline, f"{self.database.queued()} messages are left"
            self.show_messages()
            self.run("collector")
        self.run("collector")

    def end_waits(self) -> None:
        """Let all waiting samples have waited for their job as long as they may."""
        self.database.change("UPDATE waiting_samples SET since = since - interval '11 minutes'")
        self.run("collector")

    def roll_up(self, *, confirm: bool) -> None:
        """Run retention until it is finished, and has sealed the same days of both tables."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            report = self.run("retention", event={"confirm": confirm})
            if report["finished"] and len(set(self.database.sealed().values())) == 1:
                return
            assert time.monotonic() < deadline, f"retention does not finish: {report}"
