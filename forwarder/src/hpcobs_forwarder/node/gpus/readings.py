"""What is read of a GPU, and what a vendor's reader offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class GpuReading(NamedTuple):
    """One GPU, or one MIG device. MiB, watts, degrees Celsius; None is "not read", never zero.

    ``names`` are all the names that Slurm or the vendor's environment variables may call it by;
    ``minor`` is the number of an NVIDIA device file.
    """

    gpu_id: str
    gpu_vendor: str
    names: frozenset[str]
    minor: int | None = None
    utilization_percent: float | None = None
    memory_used_mb: int | None = None
    memory_total_mb: int | None = None
    power_watts: float | None = None
    temperature_celsius: float | None = None
    processes: tuple[int, ...] = ()


class GpuReader(Protocol):
    """One vendor's library."""

    name: str

    @property
    def unread(self) -> Sequence[str]:
        """Which GPUs the last reading lacks, and why."""
        ...

    def read(self) -> Sequence[GpuReading]:
        """The GPUs as they are now; GpuError if the library fails."""
        ...

    def missing(self) -> str | None:
        """What the library lacks to work, and how to mend it; None if it works."""
        ...


class GpuError(Exception):
    """The vendor's library failed."""
