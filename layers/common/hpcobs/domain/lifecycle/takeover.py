"""A source of higher precedence contradicts the stored run: what it reports replaces the run.

A client can guess an id, and a node can report any job, restart count or start. Such a claim must
not keep the true messages of the job out. So a restart count, a start time and a node list count
only against sources of the same or a lower precedence (docs/adr/0006).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.outcome import Discard, Outcome, Recompute, Status
from hpcobs.domain.lifecycle.runs import (
    apply_unmatched_ends,
    fill_missing_scheduler,
    without_exit_status,
)
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job

CLOCK_SKEW = timedelta(seconds=60)
"""The largest difference of two hosts' clocks that is not taken for an order of events."""


def contradicts(job: Job, incoming: Job) -> bool:
    """Return whether ``incoming`` shows that the stored run is wrong, or of a later time.

    Only a source of higher precedence can. A client's claim is replaced by any report of the
    cluster.
    """
    if incoming.run_by <= job.run_by:
        return False
    if job.run_by is Precedence.CLAIM or incoming.user != job.user:
        return True
    return incoming.restart_count < job.restart_count


def take_over(
    job: Job, incoming: Job, unmatched: Sequence[RunEnd], *, seen_at: datetime
) -> Outcome:
    """Replace the stored run, and remove the samples that cannot be of the incoming one.

    ``seen_at`` is when the source saw what it reports. If that was before the stored start, the
    stored run may be a true one which follows: its messages are kept until its source is confirmed.
    """
    after = replace(
        _with_names(job, incoming),
        id=job.id,
        stored_as=job.stored_as,
        submission_at=job.submission_at,
        statistics_since=incoming.start_time,
    )
    node_ends: tuple[RunEnd, ...] = ()
    if after.state is JobState.RUNNING:
        # Without `job`: its end came under the claim.
        after, node_ends = apply_unmatched_ends(after, after, unmatched)
    may_follow = (
        job.run_by is not Precedence.CLAIM
        and job.user == incoming.user
        and seen_at < job.start_time - CLOCK_SKEW
    )
    return Outcome(
        after,
        Status.UPDATED,
        "a report of the cluster replaces a wrong claim",
        ChangeType.CORRECTION,
        recompute=Recompute.RUN,
        begins=True,
        discard=_discard(job, incoming, until=job.start_time if may_follow else None),
        node_ends=node_ends,
        reopened=True,
        displaced=job if may_follow else None,
    )


def _with_names(job: Job, incoming: Job) -> Job:
    """Return the incoming job with the names that all runs of a submission share."""
    if job.run_by is Precedence.CLAIM or job.user != incoming.user:
        return incoming
    scheduler = without_exit_status(job.scheduler)
    return replace(
        incoming,
        name=incoming.name or job.name,
        array_job_id=incoming.array_job_id or job.array_job_id,
        array_task_id=incoming.array_task_id or job.array_task_id,
        scheduler=fill_missing_scheduler(incoming.scheduler, scheduler),
    )


def _discard(job: Job, incoming: Job, *, until: datetime | None) -> Discard:
    if job.run_by is Precedence.CLAIM:
        return Discard()
    # Nodes may send only their own samples, so those of the true nodes are of the true job.
    earlier_run = job.user == incoming.user and incoming.restart_count > 0
    before = None if earlier_run else incoming.start_time - CLOCK_SKEW
    return Discard(kept_nodes=incoming.nodes, until=until, before=before)


def discard_foreign_nodes(job: Job, incoming: Job) -> Discard | None:
    """Return the samples of nodes that only a weaker source counted to the run, or None."""
    if incoming.run_by <= job.run_by or not incoming.nodes:
        return None
    if set(job.nodes) <= set(incoming.nodes):
        return None
    return Discard(kept_nodes=incoming.nodes, since=job.statistics_since)
