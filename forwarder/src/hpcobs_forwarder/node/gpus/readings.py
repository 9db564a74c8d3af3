"""A GPU's reading, and the interface of a vendor's reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class GpuReading(NamedTuple):
    """One GPU, or one MIG device. MiB, watts, degrees Celsius. None means "not read", never zero.

    ``names`` holds the UUIDs by which Slurm or the vendor may name the GPU. ``position`` is its
    place in the vendor's own order, None for a MIG device. ``minor`` is the number in
    ``/dev/nvidia<minor>`` or ``/dev/dri/renderD<minor>``, of a MIG device that of its GPU.
    ``files`` are the device files that only this GPU or MIG device has. ``processes`` are process
    ids. ``shared`` is true where several jobs use the GPU, and None elsewhere.
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
    position: int | None = None
    files: frozenset[str] = frozenset()
    is_mig: bool = False
    shared: bool | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Return the identity of the GPU on this node."""
        return self.gpu_vendor, self.gpu_id

    @property
    def is_blank(self) -> bool:
        """Return whether the reading has no value at all."""
        return (
            self.utilization_percent is None
            and self.memory_used_mb is None
            and self.memory_total_mb is None
            and self.power_watts is None
            and self.temperature_celsius is None
        )


class GpuReader(Protocol):
    """One vendor's library."""

    name: str

    @property
    def unread(self) -> Sequence[str]:
        """GPUs and values that the last reading lacks, each with the reason."""
        ...

    @property
    def is_partial(self) -> bool:
        """Whether the last reading lacks GPUs: they failed, or it was not time to read them."""
        ...

    def read(self) -> Sequence[GpuReading]:
        """Read the GPUs. Raise GpuError if the library fails."""
        ...

    def missing(self) -> str | None:
        """Return what the library lacks and how to fix it, or None if it works."""
        ...


class GpuError(Exception):
    """The vendor's library failed."""
