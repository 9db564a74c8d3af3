"""The controller role's work: spool the jobs and nodes that changed since the last interval.

A spooled change counts as sent, because the spool survives a kill and is drained in order. So the
spool grows by the changes during an outage, and not by the whole queue at every interval.
"""

from __future__ import annotations

import gzip
import logging
import os
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.clock import rfc3339
from hpcobs_forwarder.controller.changes import Changes
from hpcobs_forwarder.controller.look import look_at
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.spool.batch import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.controller.backfill import Backfill
    from hpcobs_forwarder.controller.look import Look
    from hpcobs_forwarder.controller.source import Source
    from hpcobs_forwarder.controller.submissions import Key
    from hpcobs_forwarder.controller.tracking import Tracked
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)

JOBS_AT_ONCE = 500
_COMPRESSION = 4
"""gzip's level. Level 9 takes about four times as long for a sixth fewer bytes."""
_FEW_FILES = 5
"""Files in the spool above which the site counts as unreachable."""


class ControllerWork:
    """Sends slurmctld's jobs and nodes to the site."""

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
        """Query nothing yet. Signals interrupt queries that run inside ``interruptible()``."""
        self._interruptible = interruptible
        self._source = source
        self._backfill = backfill
        self._spool = spool
        self._cluster_name = cluster_name
        self._fallback_cluster_name = fallback_cluster_name
        self._health = health
        self._clock = clock
        self._changes = Changes()
        self._logged: set[str] = set()

    def tick(self) -> None:
        """Make one pass. A failure is logged and counted."""
        self.sync()

    def sync(self) -> bool:
        """Spool what changed. Return False if Slurm does not respond. That ends no job."""
        observed = self._clock.wall()
        try:
            with self._interruptible():
                look = look_at(self._source)
        except SourceError as error:
            self._failed(self._source.name, error)
            return False
        self._health.set("jobs", len(look.jobs))
        if look.faults.count:
            self._health.add("reader_errors_total", look.faults.count, label="values")
        self._changes.start_pass(resend=not self._site_is_unreachable())
        changed_jobs = [*self._ended(look, observed), *self._changes.jobs(look.jobs)]
        lost = self._backfill.lost()
        try:
            self._write(changed_jobs, look, observed)
        except OSError as error:  # nothing is marked as sent: the next pass tries again
            self._failed("spool", error)
            return False
        self._changes.mark_sent(look.jobs, look.nodes)
        self._count_lost(lost, look)
        return True

    def close(self) -> None:
        """Do nothing: every change is in the spool."""

    def _site_is_unreachable(self) -> bool:
        # Unchanged jobs would fill the spool then, and push older events out of it.
        waiting = [entry for entry in self._spool.waiting_events() if entry.event_kind == "jobs"]
        return len(waiting) > _FEW_FILES

    def _ended(self, look: Look, observed: float) -> list[dict[str, Any]]:
        with self._interruptible():
            ended = self._backfill.ended(look, observed)
        if self._backfill.failure is not None:
            self._failed("sacct", self._backfill.failure)
        return ended

    def _write(self, jobs: list[dict[str, Any]], look: Look, observed: float) -> None:
        """Spool the pass. Raise OSError, and leave nothing of it, if that is not possible."""
        written: list[str] = []
        try:
            for name, data in self._events(jobs, look, observed):
                written.append(self._spool.write_event(name, data))
            self._backfill.finish_pass(observed)
        except OSError:
            # The next pass writes all of it again. What stays would fill what room there is.
            for path in written:
                with suppress(OSError):  # it has just been sent
                    os.unlink(path)
            raise

    def _events(
        self, jobs: list[dict[str, Any]], look: Look, observed: float
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the names and contents of the files of a pass."""
        milliseconds = int(observed * 1000)
        nodes = self._changes.nodes(look.nodes)
        for number, body in enumerate(self._bodies(jobs, nodes, rfc3339(observed))):
            # The spool is drained in the order of names: time first, then the part.
            packed = gzip.compress(encode(body), _COMPRESSION)
            yield f"{milliseconds:013d}-sync-{number:04d}.jobs.json.gz", packed
        for (job_id, _), job in self._backfill.lost().items():
            if job_id not in look.by_id:  # the event would end the job that has the id now
                name = f"{milliseconds:013d}-lost-{job_id}.finished.json"
                yield name, encode(self._lost_event(job_id, job))

    def _bodies(
        self, jobs: list[dict[str, Any]], nodes: list[dict[str, Any]], observed_at: str
    ) -> Iterator[dict[str, Any]]:
        """Yield the requests' bodies. The first one carries the nodes."""
        for start in range(0, max(len(jobs), 1 if nodes else 0), JOBS_AT_ONCE):
            body = {
                "observed_at": observed_at,
                **self._cluster(),
                "jobs": jobs[start : start + JOBS_AT_ONCE],
            }
            yield {**body, "nodes": nodes} if nodes and not start else body

    def _count_lost(self, lost: dict[Key, Tracked], look: Look) -> None:
        """Count and log the lost jobs. They end as "cancelled" if pending, else as "failed"."""
        for (job_id, _), job in lost.items():
            self._health.add("jobs_lost_total")
            if job_id in look.by_id:
                _log.warning("job %s is gone and its id is used again: its end is unknown", job_id)
                continue
            _log.warning(
                "job %s is gone from slurmctld and its end is unknown: reported as %s",
                job_id,
                "cancelled" if job.pending else "failed",
            )

    def _lost_event(self, job_id: str, job: Tracked) -> dict[str, Any]:
        # As the source "epilog", which has the lowest precedence: a hook's event or slurmctld's own
        # state replaces this guess, whichever arrives first.
        event: dict[str, Any] = {
            "job_id": job_id,
            "final_state": "cancelled" if job.pending else "failed",
            "timestamp": rfc3339(job.seen_at),
            **self._cluster(),
            "source": "epilog",
        }
        if job.restart_count is not None:
            event["restart_count"] = job.restart_count
        return event

    def _cluster(self) -> dict[str, str]:
        """Return the configured cluster name, else Slurm's, else the one in slurm.conf."""
        name = self._cluster_name or self._source.cluster_name or self._fallback_cluster_name
        return {"cluster_name": name} if name else {}

    def _failed(self, reader: str, error: Exception) -> None:
        """Count every failure. Log the first one of each kind."""
        self._health.add("reader_errors_total", label=reader)
        if reader not in self._logged:
            self._logged.add(reader)
            # A command's error names the command already: "sacct failed: …".
            text = str(error) if str(error).startswith(reader) else f"{reader}: {error}"
            _log.warning(
                "%s (further failures are only counted in hpcobs_forwarder_reader_errors_total)",
                text,
            )
