"""An end of a job, or of one of its nodes: ignored, stored for its run, or the job's end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.events import FinishSource, RunEnd
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.outcome import Outcome, Status
from hpcobs.domain.lifecycle.runs import (
    combine_node_ends,
    end_run,
    exit_status,
    with_exit_codes,
    without_exit_status,
)
from hpcobs.domain.states import checked_final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import JobFinished
    from hpcobs.domain.jobs import Job


def finish(job: Job, event: JobFinished, node_ends: Sequence[RunEnd] = ()) -> Outcome:
    """Decide what an end changes in the stored job.

    ``node_ends`` are the nodes of the current run that have ended before. Raise InvalidStateError
    if the event's state is not a final one.
    """
    final = checked_final(event.final_state, exit_code=event.exit_code, signal=event.signal)
    if event.user not in (None, job.user):
        return Outcome(job, Status.SKIPPED, f"job {job.id} is another user's")
    end = RunEnd(
        ended_at=event.timestamp,
        state=final,
        by=event.precedence,
        exit_code=event.exit_code,
        signal=event.signal,
        # EpilogSlurmctld runs once per job: its end is that of all nodes.
        node=event.node if event.source is FinishSource.EPILOG else None,
    )
    if _is_of_earlier_run(job, event):
        # The restart count may be a claim. The end is needed once a stronger source replaces it.
        claimed = job.run_by < Precedence.CONTROLLER_SYNC
        kept = end if claimed else None
        return Outcome(job, Status.SKIPPED, "end of an earlier run", unmatched=kept)
    # A job that waited has no nodes yet. Without the event's list its first node would end it.
    outcome = _finish_run(replace(job, nodes=job.nodes or event.nodes), end, node_ends)
    return replace(outcome, unmatched=end if _may_be_of_next_run(job, event) else None)


def _is_of_earlier_run(job: Job, event: JobFinished) -> bool:
    if job.restart_count == 0:
        return False
    if event.restart_count is not None and event.restart_count < job.restart_count:
        return True
    # On a requeue the old run's epilogs already carry the next run's restart count (recorded with
    # Slurm 22.05), so an equal count proves nothing: only the times separate the two runs. A job
    # that waits has no start, but it waited when the controller last saw it.
    begun = job.scheduler_seen_at if job.waits else job.start_time
    return begun is not None and event.timestamp < begun


def _may_be_of_next_run(job: Job, event: JobFinished) -> bool:
    """Return whether the end may belong to a run whose start has not been received yet.

    A higher restart count does not prove it (see `_is_of_earlier_run`). Such an end therefore
    counts for the stored run, and is also kept until the next run's start shows where it belongs.
    """
    if job.restart_count and job.waits:
        return True
    return event.restart_count is not None and event.restart_count > job.restart_count


def _finish_run(job: Job, end: RunEnd, node_ends: Sequence[RunEnd]) -> Outcome:
    if job.restart_count and job.waits:
        return Outcome(job, Status.SKIPPED, "the run's start has not been received yet")
    if end.node is not None and job.nodes and end.node not in job.nodes:
        return Outcome(job, Status.SKIPPED, f"node {end.node} is not one of the job's nodes")
    if job.state.is_terminal:
        return _finish_ended_run(job, end)
    if end.node is not None and job.node_count > 1:
        return _finish_node(job, end, node_ends)
    return Outcome(end_run(job, end), Status.UPDATED, f"job {end.state}", ChangeType.UPDATE)


def _finish_ended_run(job: Job, end: RunEnd) -> Outcome:
    """Confirm or correct the end if this source has a higher precedence than the stored one."""
    if job.ended_by is not None and end.by <= job.ended_by:
        return Outcome(job, Status.SKIPPED, f"job has already ended ({job.state})")
    after = _correct_end(job, end)
    if exit_status(after) == exit_status(job):
        return Outcome(after, Status.UPDATED, "end confirmed", ChangeType.UPDATE)
    message = f"end corrected: {after.state}"
    return Outcome(after, Status.UPDATED, message, ChangeType.CORRECTION)


def _correct_end(job: Job, end: RunEnd) -> Job:
    """Return the ended job as a source of higher precedence reports it. Its end time stays."""
    scheduler = job.scheduler
    # With another state, the old exit code and reason would contradict it.
    if end.state is not job.state:
        scheduler = without_exit_status(scheduler)
    return replace(job, state=end.state, ended_by=end.by, scheduler=with_exit_codes(scheduler, end))


def _finish_node(job: Job, end: RunEnd, node_ends: Sequence[RunEnd]) -> Outcome:
    """Store that one node of several has ended. The last one ends the job."""
    if any(known.node == end.node for known in node_ends):
        return Outcome(job, Status.SKIPPED, f"node {end.node} has already ended")
    # The controller's view may have changed the node list since those ends were stored.
    all_ends = [*(known for known in node_ends if known.node in job.nodes), end]
    if len(all_ends) < job.node_count:
        message = f"node {end.node} ended, {len(all_ends)} of {job.node_count}"
        return Outcome(job, Status.UPDATED, message, node_ends=(end,))
    after = end_run(job, combine_node_ends(all_ends))
    message = f"job {after.state} on its last node"
    return Outcome(after, Status.UPDATED, message, ChangeType.UPDATE, node_ends=(end,))
