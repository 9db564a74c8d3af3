"""A start of a job that is stored already: ignored, merged into its run, or a new run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.lifecycle.outcome import Outcome, Status
from hpcobs.domain.lifecycle.runs import (
    apply_unmatched_ends,
    begin_next_run,
    contradicts_claim,
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


def start(job: Job, incoming: Job, unmatched: Sequence[RunEnd] = ()) -> Outcome:
    """Decide what a start changes in the stored job.

    ``incoming`` is the job as this one start describes it. ``unmatched`` are the stored ends that
    may belong to a run whose start was not received before.
    """
    # Claims come first. A client may guess an id and claim it with a huge restart count, and then
    # every true start would look like one of an earlier run.
    if contradicts_claim(job, incoming):
        after = replace_claim(job, incoming)
        message = "start replaces a wrong claim"
        return Outcome(after, Status.UPDATED, message, ChangeType.UPDATE, recompute=True)
    if incoming.restart_count < job.restart_count:
        return Outcome(job, Status.SKIPPED, "start of an earlier run")
    if incoming.restart_count > job.restart_count and _is_later(job, incoming):
        return _start_next_run(job, incoming, unmatched)
    return _start_same_run(job, incoming, unmatched)


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
    begun = replace(_fill_job(begun, incoming), resources=resources)
    after, node_ends = apply_unmatched_ends(begun, job, unmatched)
    return Outcome(
        after,
        Status.UPDATED,
        "requeued: a new run begins",
        ChangeType.UPDATE,
        recompute=True,
        node_ends=node_ends,
    )


def _start_same_run(job: Job, incoming: Job, unmatched: Sequence[RunEnd]) -> Outcome:
    filled = _fill_job(job, incoming)
    node_ends: tuple[RunEnd, ...] = ()
    if job.waits:
        begun = _begin_waiting(filled, incoming)
        after, node_ends = apply_unmatched_ends(begun, job, unmatched)
    else:
        after = _with_start_time(filled, incoming)
    if after == job:
        return Outcome(job, Status.SKIPPED, "start already stored")
    # The statistics count samples from `statistics_since` on and weigh nodes by their CPUs.
    recompute = (
        after.statistics_since != job.statistics_since
        or after.resources.cpus_per_node != job.resources.cpus_per_node
    )
    return Outcome(
        after,
        Status.UPDATED,
        "start merged into the stored job",
        ChangeType.UPDATE,
        recompute=recompute,
        node_ends=node_ends,
    )


def _fill_job(job: Job, incoming: Job) -> Job:
    """Return the job with its missing fields taken from a start.

    Prolog and PrologSlurmctld each report fields that the other cannot, and arrive in any order.
    """
    return replace(
        job,
        nodes=job.nodes or incoming.nodes,
        name=job.name or incoming.name,
        array_job_id=job.array_job_id or incoming.array_job_id,
        array_task_id=job.array_task_id or incoming.array_task_id,
        restart_count=max(job.restart_count, incoming.restart_count),
        resources=fill_missing(job.resources, incoming.resources),
        scheduler=fill_missing_scheduler(job.scheduler, incoming.scheduler),
    )


def _begin_waiting(job: Job, incoming: Job) -> Job:
    return replace(
        job,
        state=JobState.RUNNING,
        nodes=incoming.nodes,
        start_time=incoming.start_time,
        # None means "from the first sample": a first run needs no boundary, a requeued one does.
        statistics_since=None if job.statistics_since is None else incoming.start_time,
        scheduler=without_exit_status(job.scheduler),
    )


def _with_start_time(job: Job, incoming: Job) -> Job:
    """Return the job with the earliest reported start, unless the controller reported one."""
    if job.start_estimated:
        earliest = min(incoming.start_time, job.start_time)
        return replace(job, start_time=earliest, start_estimated=False)
    if incoming.start_time >= job.start_time or job.scheduler_seen_at is not None:
        return job
    since = None if job.statistics_since is None else incoming.start_time
    return replace(job, start_time=incoming.start_time, statistics_since=since)
