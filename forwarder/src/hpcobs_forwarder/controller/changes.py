"""Find the jobs and nodes that changed since they were last sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.states import is_pending
from hpcobs_forwarder.controller.submissions import key_of

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.submissions import Key

_ALL_NODES_EVERY = 10
"""Passes between two transfers of all nodes. They carry the load, whose changes are not counted."""
_JOBS_EVERY = 20
"""Passes after which an unchanged running job is sent again. Without it the job becomes stale."""

JobOrNode = dict[str, Any]


class Changes:
    """A fingerprint of each job and node as sent. For a job also the pass in which it was sent."""

    # A fingerprint instead of the object: a controller may have 100,000 jobs in memory.

    def __init__(self) -> None:
        """Start with nothing sent."""
        # By the submission: a job that reuses an id is no change of the job before.
        self._jobs: dict[Key, tuple[int, int]] = {}
        self._nodes: dict[str, int] = {}
        self._passes = 0
        self._resend = True

    def start_pass(self, *, resend: bool) -> None:
        """Start a pass. If ``resend`` is true, resend unchanged jobs and nodes periodically."""
        self._resend = resend

    def jobs(self, jobs: list[JobOrNode]) -> list[JobOrNode]:
        """Return the jobs that changed, and the running ones that are due to be resent."""
        return [job for job in jobs if self._sent_in(job)[1] == self._passes]

    def nodes(self, nodes: list[JobOrNode]) -> list[JobOrNode]:
        """Return the nodes that changed, or all of them if they are due to be resent."""
        if not self._nodes or (self._resend and self._passes % _ALL_NODES_EVERY == 0):
            return nodes
        return [node for node in nodes if self._nodes.get(node["node"]) != fingerprint(node)]

    def mark_sent(self, jobs: list[JobOrNode], nodes: list[JobOrNode]) -> None:
        """Complete the pass: the changes among ``jobs`` and ``nodes`` are in the spool."""
        # A new dict, so that jobs that slurmctld forgot are forgotten here too.
        self._jobs = {key_of(job): self._sent_in(job) for job in jobs}
        self._nodes.update((node["node"], fingerprint(node)) for node in nodes)
        self._passes += 1

    def _sent_in(self, job: JobOrNode) -> tuple[int, int]:
        """Return the job's fingerprint, and the pass it was sent in, or the present one if due."""
        now = fingerprint(job)
        before, sent = self._jobs.get(key_of(job), (None, self._passes))
        due = self._passes - sent >= _JOBS_EVERY and not is_pending(job["state"])
        return now, self._passes if now != before or (due and self._resend) else sent


def fingerprint(one: JobOrNode) -> int:
    """Return a number that changes with the relevant fields of a job or node."""
    # A node's load differs in each pass, and a pending job's priority grows with its age. Either
    # would send the whole cluster every time.
    left_out = {"cpu_load"}
    if is_pending(one["state"]):
        left_out.add("priority")
    return hash(tuple(sorted((key, str(one[key])) for key in one.keys() - left_out)))
