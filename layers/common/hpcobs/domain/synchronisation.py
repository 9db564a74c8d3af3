"""How a job changes when the controller tells what it sees: the most believed word of all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.merging import filled_scheduler, overridden
from hpcobs.domain.outcomes import Outcome, skipped, updated
from hpcobs.domain.runs import (
    begun_again,
    is_wrongly_claimed,
    taken_over,
    verdict,
    without_verdict,
)
from hpcobs.domain.states import JobState
from hpcobs.domain.unmatched import with_ends_heard_before

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job

NOTE_AFTER = timedelta(minutes=5)


def sync(
    job: Job, seen: Job, unmatched: Sequence[RunEnd] = (), *, restart_known: bool = True
) -> Outcome:
    """The controller's view ``seen`` of a known job.

    ``unmatched`` are the ends that were kept because they may be those of a run not heard of yet,
    ``restart_known`` is False where the controller did not tell the restart count.
    """
    if is_wrongly_claimed(job, seen):
        message = "view of a job that was told of wrongly"
        return updated(taken_over(job, seen), message, recompute=True)
    restarts = seen.restart_count if restart_known else job.restart_count
    if restarts < job.restart_count:
        return skipped(job, "view of an earlier run")
    if restarts > job.restart_count:
        return _next_run(job, seen, unmatched)
    return _same_run(job, seen, unmatched)


def _same_run(job: Job, seen: Job, unmatched: Sequence[RunEnd]) -> Outcome:
    if _outdated(job, seen):
        return skipped(job, "an older view than what is known")
    if job.state.is_terminal:
        return _after_end(job, seen)
    after, node_ends = _begun(_believed(job, seen), job, unmatched)
    if _same(job, after):
        return skipped(after if _heard_again(job, after) else job, "unchanged")
    moved = after.statistics_since != job.statistics_since
    return replace(updated(after, f"job {after.state}", recompute=moved), node_ends=node_ends)


def _outdated(job: Job, seen: Job) -> bool:
    observed_at = seen.scheduler_seen_at
    if seen.state.is_terminal or observed_at is None:
        return False
    if job.scheduler_seen_at is not None and observed_at < job.scheduler_seen_at:
        return True
    started = job.state is JobState.RUNNING and not job.start_estimated
    return started and observed_at < job.start_time


def _next_run(job: Job, seen: Job, unmatched: Sequence[RunEnd]) -> Outcome:
    since = seen.start_time
    if seen.waits and seen.scheduler_seen_at is not None:
        since = seen.scheduler_seen_at
    opened = begun_again(
        job, since=since, restart_count=seen.restart_count, nodes=seen.nodes, state=seen.state
    )
    believed = replace(_believed(opened, seen), statistics_since=since)
    after, node_ends = _begun(believed, job, unmatched)
    outcome = updated(after, "requeued: a new run begins", recompute=True)
    return replace(outcome, node_ends=node_ends)


def _begun(after: Job, before: Job, unmatched: Sequence[RunEnd]) -> tuple[Job, tuple[RunEnd, ...]]:
    """The job, with the ends that were heard before it was known to run after a requeue."""
    waited = before.waits or after.restart_count > before.restart_count
    if after.restart_count == 0 or after.state is not JobState.RUNNING or not waited:
        return after, ()
    return with_ends_heard_before(after, before, unmatched)


def _after_end(job: Job, seen: Job) -> Outcome:
    if not seen.state.is_terminal:
        return skipped(job, f"job has already ended ({job.state})")
    after = _believed(job, seen)
    if job.ended_by is Precedence.CONTROLLER_SYNC and not _said_otherwise(job, after):
        return skipped(job, f"job has already ended ({job.state})")
    moved = after.statistics_since != job.statistics_since
    if verdict(after) == verdict(job):
        return updated(after, "end confirmed", recompute=moved)
    return updated(
        after,
        f"end corrected: {after.state}",
        change=ChangeType.CORRECTION,
        recompute=moved,
    )


def _said_otherwise(job: Job, after: Job) -> bool:
    """Whether the controller now tells another end: a cancelled job's exit code may come late."""
    before, now = job.scheduler_seen_at, after.scheduler_seen_at
    _, exit_code, _ = verdict(after)
    if exit_code is None or before is None or now is None:
        return False
    return now > before and verdict(after) != verdict(job)


def _believed(job: Job, seen: Job) -> Job:
    """All that the controller tells is taken over; what only the nodes know stays."""
    scheduler = filled_scheduler(seen.scheduler, without_verdict(job.scheduler))
    since = job.statistics_since
    if since is not None and not seen.waits:
        since = seen.start_time
    return replace(
        job,
        user=seen.user,
        nodes=seen.nodes or job.nodes,
        state=seen.state,
        start_time=seen.start_time,
        end_time=seen.end_time,
        name=seen.name or job.name,
        array_job_id=seen.array_job_id or job.array_job_id,
        array_task_id=seen.array_task_id or job.array_task_id,
        resources=overridden(job.resources, seen.resources),
        scheduler=scheduler,
        start_estimated=False,
        statistics_since=since,
        ended_by=seen.ended_by,
        scheduler_seen_at=seen.scheduler_seen_at,
    )


def _heard_again(before: Job, after: Job) -> bool:
    """Whether it is worth a note that the controller still sees the job."""
    known, now = before.scheduler_seen_at, after.scheduler_seen_at
    return now is not None and (known is None or now - known >= NOTE_AFTER)


def _same(before: Job, after: Job) -> bool:
    return replace(after, scheduler_seen_at=before.scheduler_seen_at) == before
