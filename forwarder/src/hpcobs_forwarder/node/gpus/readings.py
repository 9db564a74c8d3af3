"""A GPU's reading, and the interface of a vendor's reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class GpuReading(NamedTuple):
    """One GPU, or one MIG device. MiB, watts, degrees Celsius. None means "not read", never zero.

    ``names`` holds every name that Slurm or the vendor's environment variables may use for the GPU.
    ``minor`` is the number in ``/dev/nvidia<minor>``. ``processes`` are process ids.
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
        """GPUs that the last reading lacks, each with the reason."""
        ...

    def read(self) -> Sequence[GpuReading]:
        """Read the GPUs. Raise GpuError if the library fails."""
        ...

    def missing(self) -> str | None:
        """Return what the library lacks and how to fix it, or None if it works."""
        ...


class GpuError(Exception):
    """The vendor's library failed."""
