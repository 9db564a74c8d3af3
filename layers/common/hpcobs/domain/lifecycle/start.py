"""A start of a job that is stored already: ignored, merged into its run, or a new run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.outcome import Outcome, Recompute, Status
from hpcobs.domain.lifecycle.runs import (
    apply_unmatched_ends,
    begin_next_run,
    fill_missing,
    fill_missing_scheduler,
    without_exit_status,
)
from hpcobs.domain.lifecycle.takeover import contradicts, discard_foreign_nodes, take_over
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job


EARLIER_RUN = "start of an earlier run"


def start(
    job: Job,
    incoming: Job,
    unmatched: Sequence[RunEnd] = (),
    *,
    sender: str | None = None,
) -> Outcome:
    """Decide what a start changes in the stored job.

    ``incoming`` is the job as this one start describes it. ``unmatched`` are the stored ends that
    may belong to a run whose start was not received before. ``sender`` is the node that sent it.
    """
    # Claims come first. A client may guess an id and claim it with a huge restart count, and then
    # every true start would look like one of an earlier run.
    if contradicts(job, incoming):
        return take_over(job, incoming, unmatched, seen_at=incoming.start_time)
    if incoming.restart_count < job.restart_count and job.run_by is Precedence.CONTROLLER_SYNC:
        return Outcome(job, Status.SKIPPED, EARLIER_RUN)
    if reason := _reason_to_hold(job, incoming):
        return Outcome(job, Status.SKIPPED, reason, held=incoming)
    if incoming.restart_count > job.restart_count and _is_later(job, incoming):
        return _start_next_run(job, incoming, unmatched)
    if _is_foreign(job, incoming, sender):
        return Outcome(job, Status.SKIPPED, f"node {sender} is not one of the job's nodes")
    return _start_same_run(job, incoming, unmatched)


def _reason_to_hold(job: Job, incoming: Job) -> str | None:
    """Return why a start has to wait until a source of higher precedence confirms it, or None."""
    if incoming.user != job.user:
        return f"job {job.id} is another user's"
    if incoming.restart_count < job.restart_count:
        return EARLIER_RUN
    is_next = incoming.restart_count > job.restart_count and _is_later(job, incoming)
    if is_next and incoming.run_by < job.run_by:
        return "the controller has not reported this run yet"
    return None


def _is_foreign(job: Job, incoming: Job, sender: str | None) -> bool:
    """Return whether the sending node is none of those that a stronger source reported."""
    if sender is None or job.waits or incoming.run_by >= job.run_by:
        return False
    return bool(job.nodes) and sender not in job.nodes


def _is_later(job: Job, incoming: Job) -> bool:
    # The same start with a higher count is the stored run, reported before without its count. An
    # estimated start is the time of an end, so it proves nothing about the order.
    return job.start_estimated or incoming.start_time > job.start_time


def _start_next_run(job: Job, incoming: Job, unmatched: Sequence[RunEnd]) -> Outcome:
    begun = begin_next_run(
        job,
        since=incoming.start_time,
        restart_count=incoming.restart_count,
        nodes=incoming.nodes,
    )
    # A requeued job may get other resources: here the incoming ones win over the stored ones.
    resources = fill_missing(incoming.resources, begun.resources)
    begun = replace(_fill_job(begun, incoming), resources=resources, run_by=incoming.run_by)
    after, node_ends = apply_unmatched_ends(begun, job, unmatched)
    return Outcome(
        after,
        Status.UPDATED,
        "requeued: a new run begins",
        ChangeType.UPDATE,
        recompute=Recompute.RUN,
        begins=True,
        node_ends=node_ends,
    )


def _start_same_run(job: Job, incoming: Job, unmatched: Sequence[RunEnd]) -> Outcome:
    filled = _fill_job(job, incoming)
    node_ends: tuple[RunEnd, ...] = ()
    if job.waits:
        begun = _begin_waiting(filled, incoming)
        after, node_ends = apply_unmatched_ends(begun, job, unmatched)
    else:
        after = _with_start_time(job, filled, incoming)
    if after == job:
        return Outcome(job, Status.SKIPPED, "start already stored")
    discard = discard_foreign_nodes(job, after)
    return Outcome(
        after,
        Status.UPDATED,
        "start merged into the stored job",
        ChangeType.UPDATE,
        recompute=Recompute.of(job, after, discard),
        discard=discard,
        node_ends=node_ends,
    )


def _fill_job(job: Job, incoming: Job) -> Job:
    """Return the job with its missing fields taken from a start.

    Prolog and PrologSlurmctld each report fields that the other cannot, and arrive in any order.
    """
    stronger = incoming.run_by > job.run_by
    # A weaker source must not raise the count that the next run of a stronger one has to exceed.
    counts = [incoming.restart_count] if incoming.run_by >= job.run_by else []
    return replace(
        job,
        nodes=incoming.nodes if stronger else job.nodes or incoming.nodes,
        run_by=max(job.run_by, incoming.run_by),
        name=job.name or incoming.name,
        array_job_id=job.array_job_id or incoming.array_job_id,
        array_task_id=job.array_task_id or incoming.array_task_id,
        restart_count=max([job.restart_count, *counts]),
        resources=fill_missing(job.resources, incoming.resources),
        scheduler=fill_missing_scheduler(job.scheduler, incoming.scheduler),
    )


def _begin_waiting(job: Job, incoming: Job) -> Job:
    return replace(
        job,
        state=JobState.RUNNING,
        nodes=incoming.nodes,
        start_time=incoming.start_time,
        run_by=incoming.run_by,
        # None means "from the first sample": a first run needs no boundary, a requeued one does.
        statistics_since=None if job.statistics_since is None else incoming.start_time,
        scheduler=without_exit_status(job.scheduler),
    )


def _with_start_time(job: Job, filled: Job, incoming: Job) -> Job:
    """Return the filled job with the start of the strongest source, the earliest of equals."""
    if job.start_estimated:
        earliest = min(incoming.start_time, job.start_time)
        return replace(filled, start_time=earliest, start_estimated=False)
    is_earlier = incoming.start_time < job.start_time
    if incoming.run_by < job.run_by or (incoming.run_by == job.run_by and not is_earlier):
        return filled
    since = None if job.statistics_since is None else incoming.start_time
    return replace(filled, start_time=incoming.start_time, statistics_since=since)
