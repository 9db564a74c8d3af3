"""Jobs and events for tests, with defaults that a test overrides where it matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hpcobs.domain.audit import AuditInfo
from hpcobs.domain.events import FinishSource, JobFinished, JobStarted, RunEnd, SchedulerJob
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.job_from_event import Origin, from_scheduler, from_start
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.states import JobState, from_slurm

if TYPE_CHECKING:
    from hpcobs.domain.jobs import Job
    from hpcobs.domain.lifecycle.outcome import Outcome

T0 = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
ORIGIN = Origin(home_cluster="lab", ingest_version="test")
AUDIT = AuditInfo("node-n1", "slurm", "11111111-1111-1111-1111-111111111111")


def at(seconds: float) -> datetime:
    """Return the time ``seconds`` after T0."""
    return T0 + timedelta(seconds=seconds)


def started(seconds: float = 0, **fields: Any) -> JobStarted:
    """Make a start of job 1 on n1."""
    given = {"job_id": "1", "user": "ada", "nodes": ("n1",), "node": "n1", "timestamp": at(seconds)}
    return JobStarted(**{**given, **fields})


def finished(seconds: float = 60, state: str = "completed", **fields: Any) -> JobFinished:
    """Make an end of job 1 on n1, as a node's epilog reports it."""
    given = {"job_id": "1", "node": "n1", "timestamp": at(seconds), "exit_code": 0, "signal": 0}
    return JobFinished(final_state=JobState(state), **{**given, **fields})


def controller_finished(
    seconds: float = 60, state: str = "completed", **fields: Any
) -> JobFinished:
    """Make an end of job 1 as EpilogSlurmctld reports it."""
    return finished(seconds, state, node=None, source=FinishSource.EPILOG_SLURMCTLD, **fields)


def running_job(seconds: float = 0, **fields: Any) -> Job:
    """Make job 1 from its start."""
    return from_start(started(seconds, **fields), ORIGIN)


def start_of(job: Job, seconds: float, **fields: Any) -> Outcome:
    """Apply a start to ``job``."""
    return start(job, from_start(started(seconds, **fields), ORIGIN))


def node_end(node: str, seconds: float) -> RunEnd:
    """Make the successful end of a run on one node."""
    ended_at, state = at(seconds), JobState.COMPLETED
    return RunEnd(node=node, ended_at=ended_at, state=state, by=Precedence.NODE)


def scheduler_job(raw_state: str, observed: float, **fields: Any) -> SchedulerJob:
    """Make the controller's report of job 1."""
    given = {"job_id": "1", "user": "ada", "nodes": ("n1",), "observed_at": at(observed)}
    state = from_slurm(raw_state)
    return SchedulerJob(raw_state=raw_state, state=state, **{**given, **fields})


def incoming_job(raw_state: str, observed: float, **fields: Any) -> Job:
    """Make job 1 from the controller's report alone."""
    return from_scheduler(scheduler_job(raw_state, observed, **fields), ORIGIN)
