"""Ends that came before the start of the run that they end.

On a requeue the first run's epilogs already carry the next run's restart count, so an end that
carries a restart whose start was not heard may be of either run: it counts for the run that is
known, and is kept as well. Once the start is heard, time tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.runs import end_on_all, ended, own_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import JobFinished, RunEnd
    from hpcobs.domain.jobs import Job


def may_be_of_next_run(job: Job, event: JobFinished) -> bool:
    """Whether an end may be that of a run whose start was not heard yet."""
    if job.restart_count and job.waits:
        return True
    return event.restart_count is not None and event.restart_count > job.restart_count


def with_ends_heard_before(
    begun: Job, before: Job, unmatched: Sequence[RunEnd]
) -> tuple[Job, tuple[RunEnd, ...]]:
    """A run that begins, ended where its end was heard already, and which of its nodes have ended.

    ``before`` is the job as it was, ``unmatched`` all ends that were kept of it.
    """
    ends = [end for end in unmatched if end.ended_at >= begun.start_time]
    of_nodes = tuple(end for end in ends if end.node in begun.nodes)
    whole = [end for end in ends if end.node is None]
    known = own_end(before)
    if not ends and known is not None and known.ended_at > begun.start_time:
        # Told by one who does not count restarts.
        whole = [known]
    if whole:
        return ended(begun, max(whole, key=lambda end: (end.by, end.ended_at))), of_nodes
    if of_nodes and len(of_nodes) == begun.node_count:
        return ended(begun, end_on_all(of_nodes)), of_nodes
    return begun, of_nodes
