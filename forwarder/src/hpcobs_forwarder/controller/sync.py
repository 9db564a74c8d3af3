"""What the controller role does at every interval: it spools what has changed since the last time.

What is in the spool is as good as sent: it outlasts a kill, waits while the site is away, and
arrives in order. So a long outage costs the changes, not the whole queue at every interval.
"""

from __future__ import annotations

import gzip
import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.clock import rfc3339
from hpcobs_forwarder.controller.changes import Changes
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.spool.batch import encode
from hpcobs_forwarder.spool.entries import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.controller.backfill import Backfill
    from hpcobs_forwarder.controller.source import Source
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)

JOBS_AT_ONCE = 500
_COMPRESSION = 4
_FEW_FILES = 5


class ControllerWork:
    """Follows slurmctld's jobs and nodes."""

    def __init__(
        self,
        source: Source,
        backfill: Backfill,
        *,
        spool: Spool,
        cluster_name: str | None,
        fallback_cluster_name: str | None,
        health: Health,
        clock: Clock,
        interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Nothing is asked yet. What Slurm may take long to answer is asked ``interruptible``."""
        self._interruptible = interruptible
        self._source = source
        self._backfill = backfill
        self._spool = spool
        self._cluster_name = cluster_name
        self._fallback_cluster_name = fallback_cluster_name
        self._health = health
        self._clock = clock
        self._changes = Changes()
        self._said: set[str] = set()

    def tick(self) -> None:
        """One look at Slurm, whatever comes of it."""
        self.look()

    def look(self) -> bool:
        """Spools what has changed; False if Slurm does not answer: nothing is concluded from it."""
        observed = self._clock.wall()
        try:
            with self._interruptible():
                jobs, nodes = self._source.jobs(), self._source.nodes()
        except SourceError as error:
            self._failed(self._source.name, error)
            return False
        self._health.set("jobs", len(jobs))
        self._changes.begin(again=not self._much_waits())
        changed_jobs = [*self._ended(jobs, observed), *self._changes.jobs(jobs)]
        try:
            self._write(changed_jobs, self._changes.nodes(nodes), observed)
            self._write_lost(observed)
            self._backfill.passed(observed)
        except OSError as error:  # nothing counts as told: the next pass tries again
            self._failed("spool", error)
            return False
        self._changes.told(jobs, nodes)
        return True

    def close(self) -> None:
        """Nothing: what was seen is in the spool."""

    def _much_waits(self) -> bool:
        """Whether the site is away: what has not changed would only fill the spool then."""
        waiting = [one for one in self._spool.waiting_events() if one.event_kind == "jobs"]
        return len(waiting) > _FEW_FILES

    def _ended(self, jobs: list[dict[str, Any]], observed: float) -> list[dict[str, Any]]:
        try:
            with self._interruptible():
                return self._backfill.ended(jobs, observed)
        except SourceError as error:
            self._failed("sacct", error)
            return []

    def _write(
        self, jobs: list[dict[str, Any]], nodes: list[dict[str, Any]], observed: float
    ) -> None:
        milliseconds = int(observed * 1000)
        for number, body in enumerate(self._bodies(jobs, nodes, rfc3339(observed))):
            name = f"{milliseconds:013d}-sync-{number:04d}.jobs.json.gz"
            packed = gzip.compress(encode(body), _COMPRESSION)
            write_whole(f"{self._spool.events}/{name}", packed, sync=self._spool.sync)

    def _bodies(
        self, jobs: list[dict[str, Any]], nodes: list[dict[str, Any]], observed_at: str
    ) -> Iterator[dict[str, Any]]:
        """What is posted: the nodes with the first jobs."""
        for start in range(0, max(len(jobs), 1 if nodes else 0), JOBS_AT_ONCE):
            body = {
                "observed_at": observed_at,
                **self._cluster(),
                "jobs": jobs[start : start + JOBS_AT_ONCE],
            }
            yield {**body, "nodes": nodes} if nodes and not start else body

    def _write_lost(self, observed: float) -> None:
        """Ends the jobs that left unseen, of which no one knows more, by the weakest word there is.

        What a hook or slurmctld said or will say of the same job is believed before this.
        """
        for job_id, job in self._backfill.given_up().items():
            _log.warning("job %s is gone from slurmctld, and nobody knows how it ended", job_id)
            body: dict[str, Any] = {
                "job_id": job_id,
                "final_state": "cancelled" if job.pending else "failed",
                "timestamp": rfc3339(job.seen_at),
                **self._cluster(),
                "source": "epilog",
            }
            if job.restart_count is not None:
                body["restart_count"] = job.restart_count
            path = f"{self._spool.events}/{int(observed * 1000):013d}-lost-{job_id}.finished.json"
            write_whole(path, encode(body), sync=self._spool.sync)
            self._health.add("jobs_lost_total")

    def _cluster(self) -> dict[str, str]:
        """The cluster as configured, else as Slurm calls it."""
        name = self._cluster_name or self._source.cluster_name or self._fallback_cluster_name
        return {"cluster_name": name} if name else {}

    def _failed(self, reader: str, error: Exception) -> None:
        """Counts every failure; says each kind once."""
        self._health.add("reader_errors_total", label=reader)
        if reader not in self._said:
            self._said.add(reader)
            _log.warning("%s: %s (said once)", reader, error)
