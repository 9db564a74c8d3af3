"""A job's state between two passes: its last CPU count, its CPUs and its Prolog's record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.node.cgroups.files import job_id_in
from hpcobs_forwarder.node.cpus import UnknownCpusError
from hpcobs_forwarder.node.names import node_in

if TYPE_CHECKING:
    from hpcobs_forwarder.node.cgroups.layout import JobFolder, Layout, Reading
    from hpcobs_forwarder.node.cpus import NodeCpus
    from hpcobs_forwarder.node.records import JobRecord, Records

CPUS_KNOWN_FOR_SECONDS = 60.0
"""How long a job's CPU limit is cached. Slurm rarely changes it while the job runs."""


class Count(NamedTuple):
    """CPU seconds used so far, and when they were read (``Clock.uptime``)."""

    at: float
    cpu_seconds: float


class TrackedJob:
    """One run of a job on this node, from the first pass that finds it to the last."""

    # Slots save memory: a node may run 1,000 jobs.
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
        """Set ``job_id`` to an empty text if the folder's name is an SLUID."""
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
        """Look up the Prolog's record, unless it was found before.

        A job that started at most ``young_seconds`` ago counts its CPU time from its start, so that
        its first pass gives a sample.
        """
        if self.record is not None:
            return
        found = records.of_job(self.job_id) if self.job_id else records.of_sluid(self.folder.name)
        if found is None:
            return
        self.record, self.job_id, self._cpus_until = found, found.job_id, 0.0
        began = found.began_at
        # For an older job, after a restart of the forwarder, this would give the mean of its whole
        # run as its present use.
        if self._last is None and began is not None and 0 <= now - began <= young_seconds:
            self._last = Count(began, 0.0)

    def percent(self, count: Count, host: NodeCpus) -> float | None:
        """Return the use of the allocated CPUs since the last count, 0-100, or None without one.

        Raise UnknownCpusError if nothing shows how many CPUs Slurm allocated.
        """
        last, self._last = self._last, count
        if count.at >= self._cpus_until:
            self._cpus = self._allocated_cpus(host, count.at)
            self._cpus_until = count.at + CPUS_KNOWN_FOR_SECONDS
        return None if last is None else cpu_percent(last, count, self._cpus)

    def _allocated_cpus(self, host: NodeCpus, now: float) -> float:
        """Return the CPUs of the Prolog's record, else of the cgroup's limit, else of the host.

        Raise UnknownCpusError.
        """
        # Slurm's own number comes first: a CPU set has threads where Slurm may count cores.
        record = self.record
        if record is not None and record.cpus and self._is_of_node(record):
            return record.cpus
        try:
            limit = self.layout.cpu_limit(self.folder)
        except (OSError, ValueError) as error:
            # There is a limit, and it cannot be read. All CPUs of the host would be invented.
            raise UnknownCpusError(f"{self.folder.name}: {error}") from error
        # Without ConstrainCores the CPU set holds all CPUs of the host.
        return host.of_threads(limit or host.online, now)

    def _is_of_node(self, record: JobRecord) -> bool:
        # A job on several nodes of one host has one record: that of the last Prolog.
        return record.node is None or node_in(self.folder.path) in {None, record.node}

    def oom_kills(self, counted: int | None) -> int | None:
        """Return the kills so far, never fewer than before. None stays None."""
        if counted is None:
            return None
        # In version 1 the count of a step's cgroup goes when the step ends.
        self._oom_kills = max(self._oom_kills, counted)
        return self._oom_kills

    def read(self) -> Reading | OSError | ValueError | None:
        """Return the reading, or the error if a second one follows the first, else None."""
        try:
            reading = self.layout.read(self.folder)
        except (OSError, ValueError) as error:
            # A job that ended during the pass fails once and is gone in the next pass. That is
            # normal, and no error to report.
            self._failures += 1
            return error if self._failures > 1 else None
        self._failures = 0
        return reading


def cpu_percent(before: Count, after: Count, cpus: float) -> float | None:
    """Return the use of ``cpus`` CPUs between two counts, 0-100.

    Return None if no time has passed, or if the counter went back.
    """
    available = (after.at - before.at) * cpus
    used = after.cpu_seconds - before.cpu_seconds
    # A counter goes back when it belongs to another run, or when processes left whose CPU time was
    # read from /proc.
    if available <= 0 or used < 0:
        return None
    # The kernel updates the counter at other moments than the clock is read, so that a busy job can
    # seem to use slightly more than its CPUs.
    return min(100.0 * used / available, 100.0)
