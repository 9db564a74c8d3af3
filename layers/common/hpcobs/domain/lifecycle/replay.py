"""Starts that were held until a source of higher precedence reported their run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.lifecycle.takeover import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job
    from hpcobs.domain.lifecycle.outcome import Outcome


def replay(outcome: Outcome, held: Sequence[Job], unmatched: Sequence[RunEnd] = ()) -> Outcome:
    """Apply the held starts that fit the run which ``outcome`` begins.

    A node reports facts that the controller does not have: its GPUs, its cgroup.
    """
    for incoming in held:
        job = outcome.job
        if not _fits(job, incoming):
            continue
        applied = start(job, incoming, unmatched)
        if applied.change is not None:
            node_ends = (*outcome.node_ends, *applied.node_ends)
            outcome = replace(outcome, job=applied.job, node_ends=node_ends)
    return outcome


def _fits(job: Job, incoming: Job) -> bool:
    if (incoming.user, incoming.restart_count) != (job.user, job.restart_count):
        return False
    if job.waits:
        # If the controller saw the job wait after this start, the start is not true.
        seen = job.scheduler_seen_at
        return seen is None or incoming.start_time >= seen - CLOCK_SKEW
    return incoming.nodes == job.nodes and incoming.start_time >= job.start_time - CLOCK_SKEW
