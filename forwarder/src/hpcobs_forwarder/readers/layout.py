"""What a cgroup reader offers, and what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class JobFolder(NamedTuple):
    """A job's cgroup. ``name`` is ``job_<id>`` or an SLUID; ``inode`` tells runs apart."""

    name: str
    path: str
    inode: int


class Reading(NamedTuple):
    """What a job has used on this node. Bytes, seconds and counts; None is "not read"."""

    cpu_seconds: float
    memory_bytes: int
    memory_peak_bytes: int | None = None
    oom_kills: int | None = None
    throttled_seconds: float | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None


class Details(NamedTuple):
    """More of a job than is sent; for people who look at one node."""

    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    limit_bytes: int | None = None
    cpu_pressure_percent: float | None = None
    memory_pressure_percent: float | None = None
    io_pressure_percent: float | None = None


class Layout(Protocol):
    """One cgroup version as it is mounted on the node."""

    name: str

    def look_again(self) -> bool:
        """Looks for Slurm's folders anew; whether there are any."""
        ...

    def tops(self) -> Sequence[str]:
        """The folders that hold the jobs."""
        ...

    def folders(self) -> Sequence[JobFolder]:
        """The folders of the jobs that run now."""
        ...

    def read(self, folder: JobFolder) -> Reading:
        """A job's reading; OSError if the job has gone."""
        ...

    def cpu_limit(self, folder: JobFolder) -> float | None:
        """The CPUs that the cgroup confines the job to; None if to none in particular."""
        ...

    def processes(self, folder: JobFolder) -> Sequence[int]:
        """The ids of the job's processes."""
        ...

    def gpu_minors(self, folder: JobFolder) -> frozenset[int] | None:
        """The minor numbers of the NVIDIA GPUs the job may open; None if that cannot be told."""
        ...

    def details(self, folder: JobFolder) -> Details:
        """More of the job, for people."""
        ...
