"""How a job changes when something is heard of it: the one place where transitions are decided.

Every function takes the job as it is and what was heard, and returns an Outcome; nothing is written
here. Messages may come twice, late or out of order. A requeue begins a new run, and only a higher
Precedence changes how a run ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.errors import JobTerminalError
from hpcobs.domain.events import FinishSource, RunEnd
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.merging import filled, filled_scheduler
from hpcobs.domain.outcomes import Outcome, Status, skipped, updated
from hpcobs.domain.runs import (
    begun_again,
    corrected,
    end_on_all,
    ended,
    is_wrongly_claimed,
    taken_over,
    verdict,
    without_verdict,
)
from hpcobs.domain.states import JobState, checked_final
from hpcobs.domain.unmatched import may_be_of_next_run, with_ends_heard_before

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.events import JobFinished
    from hpcobs.domain.jobs import Job


def start(job: Job, heard: Job, unmatched: Sequence[RunEnd] = ()) -> Outcome:
    """A start was heard of a known job; ``heard`` is the job as that start alone tells it.

    ``unmatched`` are the ends that were kept because they may be those of a run not heard of yet.
    """
    if is_wrongly_claimed(job, heard):
        message = "start of a job that was told of wrongly"
        return updated(taken_over(job, heard), message, recompute=True)
    if heard.restart_count < job.restart_count:
        return skipped(job, "start of an earlier run")
    if heard.restart_count > job.restart_count and _is_later(job, heard):
        return _next_run(job, heard, unmatched)
    joined, node_ends = _joined(job, heard, unmatched)
    if joined == job:
        return skipped(job, "start already known")
    moved = joined.statistics_since != job.statistics_since
    weighed = joined.resources.cpus_per_node != job.resources.cpus_per_node
    outcome = updated(joined, "start joined", recompute=moved or weighed)
    return replace(outcome, node_ends=node_ends)


def _is_later(job: Job, heard: Job) -> bool:
    return job.start_estimated or heard.start_time > job.start_time


def _next_run(job: Job, heard: Job, unmatched: Sequence[RunEnd]) -> Outcome:
    opened = begun_again(
        job, since=heard.start_time, restart_count=heard.restart_count, nodes=heard.nodes
    )
    told = replace(_filled(opened, heard), resources=filled(heard.resources, opened.resources))
    begun, node_ends = with_ends_heard_before(told, job, unmatched)
    outcome = updated(begun, "requeued: a new run begins", recompute=True)
    return replace(outcome, node_ends=node_ends)


def _filled(job: Job, heard: Job) -> Job:
    """The job, with what it lacks taken from a start."""
    return replace(
        job,
        nodes=job.nodes or heard.nodes,
        name=job.name or heard.name,
        array_job_id=job.array_job_id or heard.array_job_id,
        array_task_id=job.array_task_id or heard.array_task_id,
        restart_count=max(job.restart_count, heard.restart_count),
        resources=filled(job.resources, heard.resources),
        scheduler=filled_scheduler(job.scheduler, heard.scheduler),
    )


def _joined(job: Job, heard: Job, unmatched: Sequence[RunEnd]) -> tuple[Job, tuple[RunEnd, ...]]:
    joined = _filled(job, heard)
    if not job.waits:
        return _with_start(joined, heard.start_time), ()
    begun = replace(
        joined,
        state=JobState.RUNNING,
        nodes=heard.nodes,
        start_time=heard.start_time,
        statistics_since=None if job.statistics_since is None else heard.start_time,
        scheduler=without_verdict(joined.scheduler),
    )
    return with_ends_heard_before(begun, job, unmatched)


def _with_start(job: Job, heard: datetime) -> Job:
    """The earliest start heard counts, unless the controller has told the true one."""
    if job.start_estimated:
        return replace(job, start_time=min(heard, job.start_time), start_estimated=False)
    if heard >= job.start_time or job.scheduler_seen_at is not None:
        return job
    since = None if job.statistics_since is None else heard
    return replace(job, start_time=heard, statistics_since=since)


def finish(job: Job, event: JobFinished, ends: Sequence[RunEnd] = ()) -> Outcome:
    """An end was heard of a known job; ``ends`` are the nodes of this run that had ended before."""
    final = checked_final(event.final_state, exit_code=event.exit_code, signal=event.signal)
    if _of_earlier_run(job, event):
        return skipped(job, "end of an earlier run")
    end = _end(event, final)
    outcome = _finished(replace(job, nodes=job.nodes or event.nodes), end, ends)
    return replace(outcome, unmatched=end if may_be_of_next_run(job, event) else None)


def _finished(job: Job, end: RunEnd, ends: Sequence[RunEnd]) -> Outcome:
    if job.restart_count and job.waits:
        return skipped(job, "the run's start was not heard yet")
    if end.node is not None and job.nodes and end.node not in job.nodes:
        return skipped(job, f"node {end.node} is not one of the job's nodes")
    if job.state.is_terminal:
        return _heard_after_end(job, end)
    if end.node is not None and job.node_count > 1:
        return _node_ended(job, end, ends)
    return updated(ended(job, end), f"job {end.state}")


def _of_earlier_run(job: Job, event: JobFinished) -> bool:
    if job.restart_count == 0:
        return False
    if event.restart_count is not None and event.restart_count < job.restart_count:
        return True
    # A requeued run's epilogs already carry the next run's count: only time tells them apart.
    begun = job.scheduler_seen_at if job.waits else job.start_time
    return begun is not None and event.timestamp < begun


def _end(event: JobFinished, final: JobState) -> RunEnd:
    return RunEnd(
        ended_at=event.timestamp,
        state=final,
        by=event.precedence,
        exit_code=event.exit_code,
        signal=event.signal,
        node=event.node if event.source is FinishSource.EPILOG else None,
    )


def _heard_after_end(job: Job, end: RunEnd) -> Outcome:
    if job.ended_by is not None and end.by <= job.ended_by:
        return skipped(job, f"job has already ended ({job.state})")
    after = corrected(job, end)
    if verdict(after) == verdict(job):
        return updated(after, "end confirmed")
    return updated(after, f"end corrected: {after.state}", change=ChangeType.CORRECTION)


def _node_ended(job: Job, end: RunEnd, ends: Sequence[RunEnd]) -> Outcome:
    if any(known.node == end.node for known in ends):
        return skipped(job, f"node {end.node} has already ended")
    all_ends = [*(known for known in ends if known.node in job.nodes), end]
    if len(all_ends) < job.node_count:
        message = f"node {end.node} ended, {len(all_ends)} of {job.node_count}"
        return Outcome(job=job, status=Status.UPDATED, message=message, node_ends=(end,))
    after = ended(job, end_on_all(all_ends))
    return replace(updated(after, f"job {after.state} on its last node"), node_ends=(end,))


def patch(job: Job, *, state: JobState | None, now: datetime) -> Job:
    """The job with ``state`` set by a client; JobTerminalError once it has ended."""
    if job.state.is_terminal:
        raise JobTerminalError(job.id, job.state)
    if state is None:
        return job
    if state.is_terminal:
        return ended(job, RunEnd(ended_at=now, state=state, by=Precedence.API))
    begins = job.waits and state is JobState.RUNNING
    return replace(
        job,
        state=state,
        start_time=now if begins else job.start_time,
        start_estimated=job.start_estimated or begins,
        scheduler=without_verdict(job.scheduler),
    )
