"""A cluster whose truth is known, as slurmctld and sacct show it, with every way to fail."""

from __future__ import annotations

import calendar
import json
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.source import SourceError
from tests.forwarder.slurm_json import boxed

if TYPE_CHECKING:
    from tests.forwarder.clocks import FakeClock

MIN_JOB_AGE_SECONDS = 10
COMPLETING_SECONDS = 5
"""How long the Epilogs of an ended job run."""
ENDS = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED")
CONTROLLER_FAILURES = (
    *("no update", "exit status", "errors", "cut off", "empty", "no id", "no state", "no list"),
)
SACCT_FAILURES = ("exit status", "errors", "cut off", "no list", "text")


@dataclass(frozen=True)
class Run:
    """A run of a job, which is a row of the accounting database. ``serial`` names the job."""

    serial: int
    job_id: int
    submitted: int
    restarts: int = 0
    state: str = "PENDING"
    started: int = 0
    ended: int = 0

    @property
    def is_open(self) -> bool:
        return self.ended == 0


class TrueCluster:
    """The runs of all jobs, and which query fails now."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.runs: list[Run] = []
        self.controller_failure: str | None = None
        self.sacct_failure: str | None = None
        self.has_accounting = True
        self.random = random.Random(0)
        self._serials = 0

    @property
    def now(self) -> int:
        return int(self.clock.wall())

    def submit(self) -> None:
        """Submit a job under the lowest id that slurmctld does not have: ids are used again."""
        shown = {run.job_id for run in self._in_memory()}
        job_id = next(number for number in range(1, 1000) if number not in shown)
        self._serials += 1
        last = max((run.submitted for run in self.runs if run.job_id == job_id), default=0)
        self.runs.append(Run(self._serials, job_id, max(self.now, last + 1)))

    def start(self, place: int) -> None:
        self._change(place, ("PENDING",), state="RUNNING", started=self.now)

    def suspend(self, place: int) -> None:
        self._change(place, ("RUNNING",), state="SUSPENDED")

    def end(self, place: int, state: str) -> None:
        """End a running job, or cancel a waiting one."""
        if not self._change(place, ("RUNNING", "SUSPENDED"), state=state, ended=self.now):
            self._change(place, ("PENDING",), state="CANCELLED", ended=self.now)

    def requeue(self, place: int, state: str) -> None:
        """End a run so that the job waits for its next one."""
        run = self._change(place, ("RUNNING",), state=state, ended=self.now)
        if run is not None:
            submitted = max(self.now, run.submitted + 1)
            self.runs.append(Run(run.serial, run.job_id, submitted, run.restarts + 1))

    def _change(self, place: int, states: tuple[str, ...], **changes: Any) -> Run | None:
        fitting = [run for run in self.runs if run.state in states and run.is_open]
        if not fitting:
            return None
        run = fitting[place % len(fitting)]
        self.runs[self.runs.index(run)] = replace(run, **changes)
        return run

    def last_runs(self) -> dict[tuple[str, int], Run]:
        """Return each job's last run, by id and time of submission."""
        last = {run.serial: run for run in self.runs}
        return {(str(run.job_id), run.submitted): run for run in last.values()}

    def open_ids(self) -> set[str]:
        return {str(run.job_id) for run in self.runs if run.is_open}

    def _in_memory(self) -> list[Run]:
        return [
            run
            for run in self.last_runs().values()
            if run.is_open or run.ended + MIN_JOB_AGE_SECONDS > self.now
        ]

    def run(self, command: list[str]) -> bytes:
        """Answer a command as Slurm does."""
        if command[0] == "sacct":
            return self._sacct(command)
        if "nodes" in command:
            busy = any(run.is_open and run.started for run in self.runs)
            nodes = [{"name": "n1", "state": ["MIXED" if busy else "IDLE"]}]
            return encoded("nodes", nodes, last_update=boxed(self.now))
        jobs = [self._shown(run) for run in self._in_memory()]
        self.random.shuffle(jobs)
        return self._broken(jobs, self.controller_failure)

    def _broken(self, jobs: list[dict[str, Any]], failure: str | None) -> bytes:
        if failure == "no update":
            return encoded("jobs", [], last_update=boxed(0))
        if failure == "empty" and any(run.is_open and run.started for run in self.runs):
            return encoded("jobs", [])
        if failure == "no id" and jobs:
            jobs[0] = {**jobs[0], "job_id": "?"}
        if failure == "no state" and jobs:
            jobs[0] = {**jobs[0], "job_state": None}
        return _failed(encoded("jobs", jobs, last_update=boxed(self.now)), failure)

    def _shown(self, run: Run) -> dict[str, Any]:
        # A waiting job has a planned start, and a running one a planned end.
        start = run.started or run.ended or self.now + 600
        completing = run.started and not run.is_open and self.now < run.ended + COMPLETING_SECONDS
        return {
            "job_id": run.job_id,
            "job_state": [run.state, "COMPLETING"] if completing else [run.state],
            "user_name": "ada",
            "name": f"job {run.serial}",
            "nodes": "n1" if run.started else "",
            "restart_cnt": run.restarts,
            "submit_time": boxed(run.submitted),
            "start_time": boxed(start),
            "end_time": boxed(run.ended or start + 3600),
        }

    def _sacct(self, command: list[str]) -> bytes:
        if not self.has_accounting:
            raise SourceError("sacct failed: Slurm accounting storage is disabled")
        if self.sacct_failure == "text" and "--json" not in command:
            raise SourceError("sacct failed: Connection refused")
        options = dict(word.partition("=")[::2] for word in command)
        if "--jobs" in options:
            ids = options["--jobs"].split(",")
            rows = [run for run in self.runs if str(run.job_id) in ids]
        else:
            start, end = (_seconds(options[f"--{side}time"]) for side in ("start", "end"))
            states = options["--state"].split(",")
            rows = [run for run in self.runs if run.state in states and start <= run.ended <= end]
        if "--json" not in command:
            return b""
        return _failed(encoded("jobs", [_row(run) for run in rows]), self.sacct_failure)


def _row(run: Run) -> dict[str, Any]:
    return {
        "job_id": run.job_id,
        "user": "ada",
        "name": f"job {run.serial}",
        "nodes": "n1" if run.started else "None assigned",
        "state": {"current": [run.state], "reason": "None"},
        "time": {
            "submission": run.submitted,
            "start": run.started or run.ended,
            "end": run.ended,
        },
    }


def encoded(key: str, records: list[dict[str, Any]], **more: Any) -> bytes:
    return json.dumps({key: records, "errors": [], **more}).encode()


def _failed(body: bytes, failure: str | None) -> bytes:
    if failure == "exit status":
        raise SourceError("failed: exit status 1")
    if failure == "errors":
        return json.dumps({"jobs": [], "errors": [{"error": "Unable to contact"}]}).encode()
    if failure == "cut off":
        return body[: len(body) // 2]
    return b'{"errors": []}' if failure == "no list" else body


def _seconds(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
