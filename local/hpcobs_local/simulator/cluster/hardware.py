"""The simulated machines: mostly plain nodes, and some with NVIDIA or AMD GPUs."""

from __future__ import annotations

from dataclasses import dataclass

from hpcobs.domain.jobs import GpuVendor

GPU_SHARE = 3 / 8
"""Share of the nodes that have GPUs. Every third of those has AMD GPUs, the others NVIDIA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One node's hardware."""

    name: str
    partition: str
    cpus: int
    memory_mb: int
    gpus: int = 0
    gpu_vendor: GpuVendor = GpuVendor.NONE
    gpu_memory_mb: int = 0
    gpu_watts: float = 0.0


def machines(count: int) -> tuple[Machine, ...]:
    """Return ``count`` nodes named ``n01``, ``n02``, …, those with GPUs last."""
    with_gpus = int(count * GPU_SHARE)
    plain = count - with_gpus
    return tuple(
        _plain(_name(number, count))
        if number <= plain
        else _accelerated(_name(number, count), amd=(number - plain) % 3 == 0)
        for number in range(1, count + 1)
    )


def _name(number: int, count: int) -> str:
    return f"n{number:0{max(2, len(str(count)))}d}"


def _plain(name: str) -> Machine:
    return Machine(name=name, partition="main", cpus=64, memory_mb=256_000)


def _accelerated(name: str, *, amd: bool) -> Machine:
    return Machine(
        name=name,
        partition="gpu",
        cpus=48,
        memory_mb=384_000,
        gpus=4,
        gpu_vendor=GpuVendor.AMD if amd else GpuVendor.NVIDIA,
        gpu_memory_mb=65_536 if amd else 81_920,
        gpu_watts=500.0 if amd else 400.0,
    )
