"""What a cgroup reader reads of a job, and the interface of the two readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class JobFolder(NamedTuple):
    """A job's cgroup.

    ``name`` is ``job_<id>`` or an SLUID. A requeued job has the same name and another ``inode``.
    """

    name: str
    path: str
    inode: int


class Reading(NamedTuple):
    """A job's use of this node, in bytes, seconds and counts. None means "not read".

    ``unread`` has a reason for each value that is None though its file is there.
    """

    cpu_seconds: float
    memory_bytes: int
    memory_peak_bytes: int | None = None
    oom_kills: int | None = None
    throttled_seconds: float | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    unread: Sequence[Exception] = ()


class Details(NamedTuple):
    """More about a job than a sample holds, for ``hpcobs-forwarder jobs``."""

    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    limit_bytes: int | None = None
    cpu_pressure_percent: float | None = None
    memory_pressure_percent: float | None = None
    io_pressure_percent: float | None = None


class Layout(Protocol):
    """One cgroup version as it is mounted on the node."""

    name: str

    def search(self, nodes: Collection[str] = ()) -> bool:
        """Search for the folders of the configured node and of ``nodes`` again.

        Return whether there are any.
        """
        ...

    def tops(self) -> Sequence[str]:
        """Return the folders that hold the jobs."""
        ...

    def folders(self) -> Sequence[JobFolder]:
        """Return the folders of the running jobs."""
        ...

    def read(self, folder: JobFolder) -> Reading:
        """Read a job's use. Raise OSError if the job has gone, ValueError for a malformed file."""
        ...

    def cpu_limit(self, folder: JobFolder) -> float | None:
        """Return the number of CPUs that the cgroup limits the job to, or None if it does not."""
        ...

    def processes(self, folder: JobFolder) -> Sequence[int]:
        """Return the ids of the job's processes."""
        ...

    def gpu_minors(self, folder: JobFolder) -> frozenset[int] | None:
        """Return the minor numbers of the NVIDIA GPUs the job may open, or None if unknown."""
        ...

    def details(self, folder: JobFolder) -> Details:
        """Read more about a job, for people. Raise OSError if the job has gone."""
        ...
