"""A client sets a job's state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcobs.domain.errors import JobTerminalError
from hpcobs.domain.events import RunEnd
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.runs import end_run, without_exit_status
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from datetime import datetime

    from hpcobs.domain.jobs import Job


def patch_state(job: Job, *, state: JobState | None, now: datetime) -> Job:
    """Return the job with ``state``, or unchanged if that is None.

    Raise JobTerminalError if the job has ended, even if the state is not to change.
    """
    if job.state.is_terminal:
        raise JobTerminalError(job.id, job.state)
    if state is None:
        return job
    if state.is_terminal:
        return end_run(job, RunEnd(ended_at=now, state=state, by=Precedence.API))
    # A suspended job is pending too, but its run has begun: resuming it keeps its start.
    begins = job.waits and state is JobState.RUNNING
    return replace(
        job,
        state=state,
        start_time=now if begins else job.start_time,
        # The time of the request is not the true start, which a hook may still report.
        start_estimated=job.start_estimated or begins,
        scheduler=without_exit_status(job.scheduler),
    )
