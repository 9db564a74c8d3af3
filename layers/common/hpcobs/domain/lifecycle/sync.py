"""The controller's view of a job that is stored already: the source of highest precedence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.outcome import Outcome, Status
from hpcobs.domain.lifecycle.runs import (
    apply_unmatched_ends,
    begin_next_run,
    contradicts_claim,
    exit_status,
    fill_missing,
    fill_missing_scheduler,
    replace_claim,
    without_exit_status,
)
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job

SEEN_INTERVAL = timedelta(minutes=5)
"""How often the time of an unchanged view is stored: often enough for a job not to look stale."""


def sync(
    job: Job, view: Job, unmatched: Sequence[RunEnd] = (), *, restart_known: bool = True
) -> Outcome:
    """Decide what the controller's view changes in the stored job.

    ``view`` is the job as the controller shows it. ``unmatched`` are the stored ends that may
    belong to a run that was not known before. ``restart_known`` is False if the controller did not
    report the restart count. The view then counts as one of the stored run.
    """
    # Before the restart counts are compared: a client may have claimed any count.
    if contradicts_claim(job, view):
        after = replace_claim(job, view)
        message = "view replaces a wrong claim"
        return Outcome(after, Status.UPDATED, message, ChangeType.UPDATE, recompute=True)
    restart_count = view.restart_count if restart_known else job.restart_count
    if restart_count < job.restart_count:
        return Outcome(job, Status.SKIPPED, "view of an earlier run")
    if restart_count > job.restart_count:
        return _sync_next_run(job, view, unmatched)
    return _sync_same_run(job, view, unmatched)


def _sync_next_run(job: Job, view: Job, unmatched: Sequence[RunEnd]) -> Outcome:
    since = view.start_time
    # The start time of a waiting job is its submission, which lies before the earlier run.
    if view.waits and view.scheduler_seen_at is not None:
        since = view.scheduler_seen_at
    begun = begin_next_run(
        job, since=since, restart_count=view.restart_count, nodes=view.nodes, state=view.state
    )
    after = replace(_apply_view(begun, view), statistics_since=since)
    after, node_ends = _end_begun_run(after, job, unmatched)
    return Outcome(
        after,
        Status.UPDATED,
        "requeued: a new run begins",
        ChangeType.UPDATE,
        recompute=True,
        node_ends=node_ends,
    )


def _sync_same_run(job: Job, view: Job, unmatched: Sequence[RunEnd]) -> Outcome:
    if _is_outdated(job, view):
        return Outcome(job, Status.SKIPPED, "view is older than the stored job")
    if job.state.is_terminal:
        return _sync_ended_run(job, view)
    after, node_ends = _end_begun_run(_apply_view(job, view), job, unmatched)
    if replace(after, scheduler_seen_at=job.scheduler_seen_at) == job:
        return Outcome(after if _is_seen_due(job, after) else job, Status.SKIPPED, "unchanged")
    return Outcome(
        after,
        Status.UPDATED,
        f"job {after.state}",
        ChangeType.UPDATE,
        recompute=after.statistics_since != job.statistics_since,
        node_ends=node_ends,
    )


def _is_outdated(job: Job, view: Job) -> bool:
    """Return whether the view is older than the stored job. Views may arrive out of order.

    An end is final, so that a view of one is never outdated.
    """
    observed_at = view.scheduler_seen_at
    if view.state.is_terminal or observed_at is None:
        return False
    if job.scheduler_seen_at is not None and observed_at < job.scheduler_seen_at:
        return True
    # Hooks report faster than the controller is read: it may have seen the job before its start.
    started = job.state is JobState.RUNNING and not job.start_estimated
    return started and observed_at < job.start_time


def _is_seen_due(before: Job, after: Job) -> bool:
    """Return whether the time of an unchanged view is to be stored now."""
    known, now = before.scheduler_seen_at, after.scheduler_seen_at
    return now is not None and (known is None or now - known >= SEEN_INTERVAL)


def _sync_ended_run(job: Job, view: Job) -> Outcome:
    if not view.state.is_terminal:
        return Outcome(job, Status.SKIPPED, f"job has already ended ({job.state})")
    after = _apply_view(job, view)
    if job.ended_by is Precedence.CONTROLLER_SYNC and not _is_revised(job, after):
        return Outcome(job, Status.SKIPPED, f"job has already ended ({job.state})")
    recompute = after.statistics_since != job.statistics_since
    if exit_status(after) == exit_status(job):
        message, change = "end confirmed", ChangeType.UPDATE
    else:
        message, change = f"end corrected: {after.state}", ChangeType.CORRECTION
    return Outcome(after, Status.UPDATED, message, change, recompute=recompute)


def _is_revised(job: Job, after: Job) -> bool:
    """Return whether a later view shows another end than the controller reported before.

    A cancelled job that still handles its signal shows CANCELLED first, its exit code later.
    """
    before, now = job.scheduler_seen_at, after.scheduler_seen_at
    _, exit_code, _ = exit_status(after)
    if exit_code is None or before is None or now is None:
        return False
    return now > before and exit_status(after) != exit_status(job)


def _end_begun_run(
    after: Job, before: Job, unmatched: Sequence[RunEnd]
) -> tuple[Job, tuple[RunEnd, ...]]:
    """Apply ends that were received before the controller showed this run of a requeued job."""
    newly_begun = before.waits or after.restart_count > before.restart_count
    if after.restart_count == 0 or after.state is not JobState.RUNNING or not newly_begun:
        return after, ()
    return apply_unmatched_ends(after, before, unmatched)


def _apply_view(job: Job, view: Job) -> Job:
    """Return the job with every value that the controller reports.

    Values that only the nodes know stay: usage, cgroup path, GPU devices.
    """
    since = job.statistics_since
    if since is not None and not view.waits:
        since = view.start_time
    return replace(
        job,
        user=view.user,
        nodes=view.nodes or job.nodes,
        state=view.state,
        start_time=view.start_time,
        end_time=view.end_time,
        name=view.name or job.name,
        array_job_id=view.array_job_id or job.array_job_id,
        array_task_id=view.array_task_id or job.array_task_id,
        resources=fill_missing(view.resources, job.resources),
        scheduler=fill_missing_scheduler(view.scheduler, without_exit_status(job.scheduler)),
        start_estimated=False,
        statistics_since=since,
        ended_by=view.ended_by,
        scheduler_seen_at=view.scheduler_seen_at,
    )
