"""What one pass must know of the pass before: each job's last count, its CPUs and its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs_forwarder.rates import Count, cpu_percent
from hpcobs_forwarder.readers.folders import job_id_in

if TYPE_CHECKING:
    from hpcobs_forwarder.readers.layout import JobFolder, Layout, Reading
    from hpcobs_forwarder.records import JobRecord, Records

CPUS_KNOWN_FOR_SECONDS = 60.0
"""How long a job's CPUs are taken to be the same; Slurm rarely changes them while it runs."""


class TrackedJob:
    """One run of a job on this node, from the first pass that sees it to the last."""

    __slots__ = (
        "_cpus",
        "_cpus_until",
        "_failures",
        "_last",
        "_oom_kills",
        "folder",
        "job_id",
        "layout",
        "record",
    )

    def __init__(self, layout: Layout, folder: JobFolder) -> None:
        """``job_id`` is empty while the folder has an SLUID that no record explains."""
        self.layout = layout
        self.folder = folder
        self.job_id = job_id_in(folder.name) or ""
        self.record: JobRecord | None = None
        self._last: Count | None = None
        self._cpus = 0.0
        self._cpus_until = 0.0
        self._oom_kills = 0
        self._failures = 0

    def find_record(self, records: Records, *, now: float, young_seconds: float) -> None:
        """Takes the Prolog's record once there is one.

        The CPU time of a job no older than ``young_seconds`` is counted from its beginning: short
        jobs have a sample too.
        """
        if self.record is not None:
            return
        found = records.of_job(self.job_id) if self.job_id else records.of_sluid(self.folder.name)
        if found is None:
            return
        self.record, self.job_id, self._cpus_until = found, found.job_id, 0.0
        began = found.began_at
        if self._last is None and began is not None and 0 <= now - began <= young_seconds:
            self._last = Count(began, 0.0)

    def percent(self, count: Count, host_cpus: int) -> float | None:
        """The use of the allocated CPUs since the last count, 0-100; None if there is none."""
        if count.at >= self._cpus_until:
            self._cpus = self._allocated_cpus(host_cpus)
            self._cpus_until = count.at + CPUS_KNOWN_FOR_SECONDS
        last, self._last = self._last, count
        return None if last is None else cpu_percent(last, count, self._cpus)

    def _allocated_cpus(self, host_cpus: int) -> float:
        """The CPUs that the cgroup confines to, else those of the Prolog's word, else all."""
        try:
            limit = self.layout.cpu_limit(self.folder)
        except (OSError, ValueError):
            limit = None
        if limit is not None and not 0 < host_cpus <= limit:
            return limit
        return (self.record.cpus if self.record else None) or host_cpus

    def oom_kills(self, counted: int | None) -> int | None:
        """The kills so far; a step takes its count with it when it ends."""
        if counted is None:
            return None
        self._oom_kills = max(self._oom_kills, counted)
        return self._oom_kills

    def read(self) -> Reading | OSError | ValueError | None:
        """The reading; None if there is none and the job has probably ended, else why not.

        A job that has ended is not there in the next pass: only a second failure is one.
        """
        try:
            reading = self.layout.read(self.folder)
        except (OSError, ValueError) as error:
            self._failures += 1
            return error if self._failures > 1 else None
        self._failures = 0
        return reading
