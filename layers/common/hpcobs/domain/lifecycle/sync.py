"""The controller's view of a job that is stored already: the source of highest precedence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.outcome import Outcome, Recompute, Status
from hpcobs.domain.lifecycle.runs import (
    apply_unmatched_ends,
    begin_next_run,
    exit_status,
    fill_missing,
    fill_missing_scheduler,
    without_exit_status,
)
from hpcobs.domain.lifecycle.takeover import contradicts, discard_foreign_nodes, take_over
from hpcobs.domain.states import JobState, is_completing, is_settled

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
    if not restart_known:
        view = replace(view, restart_count=job.restart_count)
    # Before the restart counts are compared: a client may have claimed any count. But an older view
    # than the last one may be a late one of an earlier run.
    is_late = view.restart_count < job.restart_count and not _is_newest(job, view)
    if contradicts(job, view) and not is_late:
        seen_at = view.scheduler_seen_at or view.start_time
        return take_over(job, view, unmatched, seen_at=seen_at)
    if view.restart_count < job.restart_count:
        return Outcome(job, Status.SKIPPED, "view of an earlier run")
    if view.restart_count > job.restart_count:
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
        recompute=Recompute.RUN,
        begins=True,
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
    return _changed(job, after, f"job {after.state}", node_ends=node_ends)


def _changed(
    job: Job,
    after: Job,
    message: str,
    change: ChangeType = ChangeType.UPDATE,
    *,
    node_ends: tuple[RunEnd, ...] = (),
    reopened: bool = False,
) -> Outcome:
    discard = discard_foreign_nodes(job, after)
    return Outcome(
        after,
        Status.UPDATED,
        message,
        change,
        recompute=Recompute.of(job, after, discard),
        discard=discard,
        node_ends=node_ends,
        reopened=reopened,
    )


def _is_newest(job: Job, view: Job) -> bool:
    stored, seen = job.scheduler_seen_at, view.scheduler_seen_at
    return stored is None or seen is None or seen > stored


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
        return _reopen(job, view)
    after = _apply_view(job, view)
    if job.ended_by is Precedence.CONTROLLER_SYNC:
        if _is_settled(job, after):
            after = _settle(job, after)
        elif not _is_revised(job, after):
            return Outcome(job, Status.SKIPPED, f"job has already ended ({job.state})")
    if exit_status(after) == exit_status(job):
        return _changed(job, after, "end confirmed")
    return _changed(job, after, f"end corrected: {after.state}", ChangeType.CORRECTION)


def _reopen(job: Job, view: Job) -> Outcome:
    """Open a job again that the controller saw after an end which it had not reported.

    A hook's end may be one of an earlier run, and a lost job's end is only presumed.
    """
    seen, end = view.scheduler_seen_at, job.end_time
    if job.ended_by is Precedence.CONTROLLER_SYNC or seen is None or end is None or seen <= end:
        return _confirm_run(job, view)
    # A job is completing while its epilogs run: its end is true then.
    if view.scheduler is not None and is_completing(view.scheduler.raw_state):
        return _confirm_run(job, view)
    after = _apply_view(job, view)
    return _changed(job, after, "job has not ended", ChangeType.CORRECTION, reopened=True)


def _confirm_run(job: Job, view: Job) -> Outcome:
    """Store that the controller saw the run of a job which has ended since."""
    message = f"job has already ended ({job.state})"
    if view.waits or job.run_by is Precedence.CONTROLLER_SYNC:
        return Outcome(job, Status.SKIPPED, message)
    seen = _apply_view(job, view)
    after = replace(
        seen,
        state=job.state,
        end_time=job.end_time,
        ended_by=job.ended_by,
        suspended_since=None,
        scheduler=fill_missing_scheduler(job.scheduler, without_exit_status(seen.scheduler)),
    )
    return _changed(job, after, "run confirmed")


def _has_settled(job: Job) -> bool:
    return job.scheduler is None or is_settled(job.scheduler.raw_state or "")


def _is_settled(job: Job, after: Job) -> bool:
    """Return whether this view of the end is settled, and the stored one was not.

    Slurm adds flags to the state, such as ``TIMEOUT+COMPLETING``, and removes them in time. So the
    order of the two views is known without their times.
    """
    return not _has_settled(job) and _has_settled(after) and after.state is job.state


def _settle(job: Job, after: Job) -> Job:
    """Return the job as the view of its settled end shows it.

    Records of ``sacct`` may lack the exit code, which then stays.
    """
    seen = [one.scheduler_seen_at for one in (job, after) if one.scheduler_seen_at is not None]
    return replace(
        after,
        scheduler=fill_missing_scheduler(after.scheduler, job.scheduler),
        scheduler_seen_at=max(seen, default=None),
    )


def _is_revised(job: Job, after: Job) -> bool:
    """Return whether a later view shows another end than the controller reported before.

    A cancelled job that still handles its signal shows CANCELLED first, its exit code later.
    """
    if _has_settled(job) and not _has_settled(after):
        return False
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
    since, start_time = job.statistics_since, view.start_time
    # A view without a start is one of a job that never ran, or of a history that lacks it.
    if view.start_estimated and not (job.waits or job.start_estimated):
        start_time = job.start_time
    elif since is not None and not view.waits:
        since = view.start_time
    suspended = view.suspended_seconds or view.suspended_since
    return replace(
        job,
        user=view.user,
        nodes=view.nodes or job.nodes,
        state=view.state,
        start_time=start_time,
        end_time=view.end_time,
        name=view.name or job.name,
        array_job_id=view.array_job_id or job.array_job_id,
        array_task_id=view.array_task_id or job.array_task_id,
        resources=fill_missing(view.resources, job.resources),
        scheduler=fill_missing_scheduler(view.scheduler, without_exit_status(job.scheduler)),
        start_estimated=view.start_estimated and start_time == view.start_time,
        statistics_since=since,
        run_by=view.run_by,
        ended_by=view.ended_by,
        scheduler_seen_at=view.scheduler_seen_at,
        # Slurm forgets the suspensions of an ended job sooner than the job.
        suspended_seconds=view.suspended_seconds if suspended else job.suspended_seconds,
        suspended_since=view.suspended_since,
    )
