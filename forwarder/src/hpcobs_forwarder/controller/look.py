"""One look at slurmctld: its jobs and nodes, and whether missing jobs can be concluded from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.nodes import is_busy
from hpcobs_forwarder.controller.records import Faults
from hpcobs_forwarder.controller.source import SourceError

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.source import Source


class Look:
    """The jobs and nodes that a successful query returned."""

    def __init__(
        self,
        jobs: list[dict[str, Any]],
        nodes: list[dict[str, Any]],
        faults: Faults | None = None,
    ) -> None:
        """Index the jobs. ``faults`` is what could not be read."""
        self.jobs = jobs
        self.nodes = nodes
        self.faults = faults or Faults()
        self.by_id = {job["job_id"]: job for job in jobs}

    @property
    def unread_ids(self) -> set[str]:
        """The ids of the jobs that slurmctld has, but that could not be read."""
        return self.faults.job_ids

    @property
    def is_complete(self) -> bool:
        """Whether all ids could be read, so that slurmctld has no other jobs."""
        return self.faults.unidentified == 0


def look_at(source: Source) -> Look:
    """Query jobs and nodes. Raise SourceError if the query failed, even without an error."""
    look = Look(source.jobs(), source.nodes(), source.faults)
    busy = next((node["node"] for node in look.nodes if is_busy(node)), None)
    if busy is not None and not look.jobs and not look.faults.count:
        raise SourceError(f"no jobs were listed, although node {busy} has some")
    return look
