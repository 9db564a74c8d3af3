"""How a job changes when something is heard of it: the one place where transitions are decided.

Every function takes the job as it is and what was heard, and returns an Outcome; nothing is written
here. Messages may come twice, late or out of order. A requeue begins a new run, and only a higher
Authority changes how a run ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.errors import JobTerminalError
from hpcobs.domain.events import FinishSource, NodeEnd
from hpcobs.domain.jobs import Authority, RunEnd
from hpcobs.domain.merging import filled, filled_scheduler
from hpcobs.domain.outcomes import Outcome, Status, skipped, updated
from hpcobs.domain.runs import (
    begun_again,
    corrected,
    end_after,
    ended,
    taken_over,
    verdict,
    without_verdict,
    worst,
)
from hpcobs.domain.states import JobState, checked_final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.events import JobFinished
    from hpcobs.domain.jobs import Job


def start(job: Job, heard: Job) -> Outcome:
    """A start was heard of a known job; ``heard`` is the job as that start alone tells it."""
    if heard.restart_count < job.restart_count:
        return skipped(job, "start of an earlier run")
    if heard.restart_count > job.restart_count and heard.start_time > job.start_time:
        return _next_run(job, heard)
    if _only_claimed(job) and heard.user != job.user:
        return updated(taken_over(job, heard), "start of another user's job", recompute=True)
    joined = _joined(job, heard)
    if joined == job:
        return skipped(job, "start already known")
    moved = joined.statistics_since != job.statistics_since
    weighed = joined.resources.cpus_per_node != job.resources.cpus_per_node
    return updated(joined, "start joined", recompute=moved or weighed)


def _only_claimed(job: Job) -> bool:
    """Whether nobody but a client, or an end, has told whose job it is: ids can be guessed."""
    return job.start_estimated and job.scheduler_seen_at is None


def _next_run(job: Job, heard: Job) -> Outcome:
    opened = begun_again(job, since=heard.start_time, restart_count=heard.restart_count)
    opened = replace(
        opened,
        nodes=heard.nodes,
        resources=filled(heard.resources, job.resources),
        scheduler=filled_scheduler(opened.scheduler, heard.scheduler),
    )
    own_end = end_after(job, heard.start_time)
    if own_end is not None:
        opened = ended(opened, own_end)
    return updated(opened, "requeued: a new run begins", recompute=True)


def _joined(job: Job, heard: Job) -> Job:
    joined = replace(
        job,
        nodes=job.nodes or heard.nodes,
        name=job.name or heard.name,
        array_job_id=job.array_job_id or heard.array_job_id,
        array_task_id=job.array_task_id or heard.array_task_id,
        restart_count=max(job.restart_count, heard.restart_count),
        resources=filled(job.resources, heard.resources),
        scheduler=filled_scheduler(job.scheduler, heard.scheduler),
    )
    if job.state is JobState.PENDING:
        return replace(
            joined,
            state=JobState.RUNNING,
            start_time=heard.start_time,
            scheduler=without_verdict(joined.scheduler),
        )
    return _with_start(joined, heard.start_time)


def _with_start(job: Job, heard: datetime) -> Job:
    """The earliest start heard counts, unless the controller has told the true one."""
    if job.start_estimated:
        return replace(job, start_time=min(heard, job.start_time), start_estimated=False)
    if heard >= job.start_time or job.scheduler_seen_at is not None:
        return job
    since = None if job.statistics_since is None else heard
    return replace(job, start_time=heard, statistics_since=since)


def finish(job: Job, event: JobFinished, ends: Sequence[NodeEnd] = ()) -> Outcome:
    """An end was heard of a known job; ``ends`` are the nodes of this run that had ended before."""
    final = checked_final(event.final_state, exit_code=event.exit_code, signal=event.signal)
    if _of_earlier_run(job, event):
        return skipped(job, "end of an earlier run")
    node = event.node if event.source is FinishSource.EPILOG else None
    if node is not None and job.nodes and node not in job.nodes:
        return skipped(job, f"node {node} is not one of the job's nodes")
    if job.state.is_terminal:
        return _heard_after_end(job, event, final)
    if node is not None and job.node_count > 1:
        return _node_ended(job, event, node, final, ends)
    return updated(ended(job, _end(event, final)), f"job {final}")


def _of_earlier_run(job: Job, event: JobFinished) -> bool:
    if job.restart_count == 0:
        return False
    if event.restart_count is not None and event.restart_count < job.restart_count:
        return True
    # A requeued run's epilogs already carry the next run's count: only time tells them apart.
    return job.state is JobState.PENDING or event.timestamp < job.start_time


def _end(event: JobFinished, final: JobState) -> RunEnd:
    return RunEnd(
        ended_at=event.timestamp,
        state=final,
        by=event.authority,
        exit_code=event.exit_code,
        signal=event.signal,
    )


def _heard_after_end(job: Job, event: JobFinished, final: JobState) -> Outcome:
    end = _end(event, final)
    after = _with_unmatched(job, event, end)
    if job.ended_by is None or event.authority > job.ended_by:
        after = corrected(after, end)
    if after == job:
        return skipped(job, f"job has already ended ({job.state})")
    if verdict(after) == verdict(job):
        return updated(after, "end confirmed")
    return updated(after, f"end corrected: {after.state}", change=ChangeType.CORRECTION)


def _with_unmatched(job: Job, event: JobFinished, end: RunEnd) -> Job:
    """Keep an end that may be a next run's: it carries a restart whose start was not heard."""
    of_next_run = event.restart_count is not None and event.restart_count > job.restart_count
    later = job.end_time is not None and end.ended_at > job.end_time
    known = job.unmatched_end
    if not (of_next_run and later) or (known is not None and end.by <= known.by):
        return job
    return replace(job, unmatched_end=end)


def _node_ended(
    job: Job, event: JobFinished, node: str, final: JobState, ends: Sequence[NodeEnd]
) -> Outcome:
    if any(end.node == node for end in ends):
        return skipped(job, f"node {node} has already ended")
    this = NodeEnd(
        node=node,
        ended_at=event.timestamp,
        state=final,
        exit_code=event.exit_code,
        signal=event.signal,
    )
    all_ends = [*(end for end in ends if end.node in job.nodes), this]
    if len(all_ends) < job.node_count:
        message = f"node {node} ended, {len(all_ends)} of {job.node_count}"
        return Outcome(job=job, status=Status.UPDATED, message=message, node_end=this)
    by_all = worst(all_ends)
    whole = replace(
        _end(event, by_all.state),
        ended_at=max(end.ended_at for end in all_ends),
        exit_code=by_all.exit_code,
        signal=by_all.signal,
    )
    after = ended(job, whole)
    return replace(updated(after, f"job {after.state} on its last node"), node_end=this)


def patch(job: Job, *, state: JobState | None, now: datetime) -> Job:
    """The job with ``state`` set by a client; JobTerminalError once it has ended."""
    if job.state.is_terminal:
        raise JobTerminalError(job.id, job.state)
    if state is None:
        return job
    if state.is_terminal:
        return ended(job, RunEnd(ended_at=now, state=state, by=Authority.API))
    return replace(job, state=state, scheduler=without_verdict(job.scheduler))
