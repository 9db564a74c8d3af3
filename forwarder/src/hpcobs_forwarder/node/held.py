"""Jobs that hold this node without a cgroup on it: no step of theirs runs here.

Such a job uses no CPU and no memory on this node, which is a reading: its allocation is idle. Only
the record of its Prolog shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups.layout import Details, JobFolder, Reading
from hpcobs_forwarder.node.tracking import TrackedJob

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hpcobs_forwarder.node.records import JobRecord

    Run = tuple[str, float | None]

PATIENCE_SECONDS = 60.0
"""Wait before a job from before the forwarder's start counts as held.

Its cgroup may be gone because it has ended, and an Epilog of the site still runs before ours, which
removes the record.
"""


class NoCgroup:
    """The layout of a job without a cgroup. Its readings are zero."""

    name = "held"

    def search(self) -> bool:
        """Return False: there is nothing to find."""
        return False

    def tops(self) -> Sequence[str]:
        """Return no folders."""
        return ()

    def folders(self) -> Sequence[JobFolder]:
        """Return no folders."""
        return ()

    def read(self, folder: JobFolder) -> Reading:
        """Return the use of a job without processes."""
        return Reading(cpu_seconds=0.0, memory_bytes=0)

    def cpu_limit(self, folder: JobFolder) -> float | None:
        """Return None: nothing limits the job."""
        return None

    def processes(self, folder: JobFolder) -> Sequence[int]:
        """Return no processes."""
        return ()

    def gpu_minors(self, folder: JobFolder) -> frozenset[int] | None:
        """Return None: no device cgroup exists."""
        return None

    def details(self, folder: JobFolder) -> Details:
        """Return nothing more."""
        return Details()


_LAYOUT = NoCgroup()


class HeldJobs:
    """The held jobs, pass by pass. A job counts from the second pass that finds it.

    ``boot_id`` is that of the running kernel. A job whose cgroup was seen is ending, not held.
    """

    def __init__(self, boot_id: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Find nothing yet."""
        self._boot_id = boot_id
        self._patience_seconds = patience_seconds
        self._started_at: float | None = None
        self._had_cgroup: set[Run] = set()
        self._found_at: dict[Run, float] = {}
        self._jobs: dict[Run, TrackedJob] = {}

    def find(
        self, records: Sequence[JobRecord], with_cgroup: Collection[str], *, now: float
    ) -> list[TrackedJob]:
        """Return the jobs that have a record but no cgroup.

        ``with_cgroup`` are the ids of the jobs that have one. ``now`` is the clock since boot.
        """
        if self._started_at is None:
            self._started_at = now
        runs = {(record.job_id, record.began_at): record for record in records}
        # A record goes with its job: nothing else of it is kept.
        self._had_cgroup = {run for run in runs if run in self._had_cgroup or run[0] in with_cgroup}
        found_at = {
            run: self._found_at.get(run, now)
            for run, record in runs.items()
            if run not in self._had_cgroup and self._is_of_this_boot(record)
        }
        self._jobs = {
            run: self._jobs.get(run) or _tracked(runs[run])
            for run, at in found_at.items()
            if run in self._found_at and now - at >= self._patience(run)
        }
        self._found_at = found_at
        return list(self._jobs.values())

    def _is_of_this_boot(self, record: JobRecord) -> bool:
        return not (record.boot_id and self._boot_id and record.boot_id != self._boot_id)

    def _patience(self, run: Run) -> float:
        _, began_at = run
        is_new = began_at is not None and began_at >= (self._started_at or 0.0)
        return 0.0 if is_new else self._patience_seconds


def _tracked(record: JobRecord) -> TrackedJob:
    job = TrackedJob(_LAYOUT, JobFolder(f"job_{record.job_id}", "", 0))
    job.record = record
    return job


def is_held(job: TrackedJob) -> bool:
    """Return whether the job has no cgroup on this node."""
    return job.layout is _LAYOUT
