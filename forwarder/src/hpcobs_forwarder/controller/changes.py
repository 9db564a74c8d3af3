"""Which jobs and nodes are not as the site was told."""

from __future__ import annotations

from typing import Any

from hpcobs_forwarder.controller.jobs import is_pending

_ALL_NODES_EVERY = 10
"""Passes after which all nodes are told again, for the sake of their load."""
_JOBS_EVERY = 20
"""Passes after which a job that runs unchanged is told again, so that the site knows it is seen."""

Thing = dict[str, Any]


class Changes:
    """What the site was told of each job and node, as a number; of a job also in which pass."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._jobs: dict[str, tuple[int, int]] = {}
        self._nodes: dict[str, int] = {}
        self._passes = 0
        self._again = True

    def begin(self, *, again: bool) -> None:
        """A pass begins; only if ``again`` is what has not changed told, once in a while."""
        self._again = again

    def jobs(self, jobs: list[Thing]) -> list[Thing]:
        """Those of ``jobs`` that have changed, once in a while each that runs."""
        return [job for job in jobs if self._telling(job)[1] == self._passes]

    def nodes(self, nodes: list[Thing]) -> list[Thing]:
        """Those of ``nodes`` that have changed, once in a while all."""
        if not self._nodes or (self._again and self._passes % _ALL_NODES_EVERY == 0):
            return nodes
        return [node for node in nodes if self._nodes.get(node["node"]) != fingerprint(node)]

    def told(self, jobs: list[Thing], nodes: list[Thing]) -> None:
        """All of ``jobs`` and ``nodes`` are on their way to the site."""
        self._jobs = {job["job_id"]: self._telling(job) for job in jobs}
        self._nodes.update((node["node"], fingerprint(node)) for node in nodes)
        self._passes += 1

    def _telling(self, job: Thing) -> tuple[int, int]:
        """The job as a number, and the pass in which it was told so, or has to be: the present."""
        now = fingerprint(job)
        before, told = self._jobs.get(job["job_id"], (None, self._passes))
        due = self._passes - told >= _JOBS_EVERY and not is_pending(job["state"])
        return now, self._passes if now != before or (due and self._again) else told


def fingerprint(thing: Thing) -> int:
    """A number that changes when what matters does.

    A waiting job's priority grows all the time, and a node's load is never the same.
    """
    left_out = {"cpu_load"}
    if is_pending(thing["state"]):
        left_out.add("priority")
    return hash(tuple(sorted((key, str(thing[key])) for key in thing.keys() - left_out)))
