"""Build samples in the contract's shape.

A value that was not read is left out. A zero would be taken for a measurement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.node.cgroups.layout import Reading
    from hpcobs_forwarder.node.gpus.readings import GpuReading

_GPU_FIELDS = (
    "gpu_id",
    "gpu_vendor",
    "shared",
    "utilization_percent",
    "memory_used_mb",
    "memory_total_mb",
    "power_watts",
    "temperature_celsius",
)


def sample_of(job_id: str, timestamp: str, cpu_percent: float, reading: Reading) -> dict[str, Any]:
    """Return a job's sample, with memory in MiB and CPU in percent of the allocation."""
    peak = reading.memory_peak_bytes
    throttled = reading.throttled_seconds
    optional = {
        "memory_peak_mb": None if peak is None else mebibytes(peak),
        "oom_kills": reading.oom_kills,
        "cpu_seconds_total": round(reading.cpu_seconds, 3),
        "cpu_throttled_seconds_total": None if throttled is None else round(throttled, 3),
        "io_read_bytes_total": reading.io_read_bytes,
        "io_write_bytes_total": reading.io_write_bytes,
    }
    return {
        "job_id": job_id,
        "timestamp": timestamp,
        "cpu_usage": round(cpu_percent, 2),
        "memory_usage_mb": mebibytes(reading.memory_bytes),
        **{name: value for name, value in optional.items() if value is not None},
    }


def idle_sample(job_id: str, timestamp: str) -> dict[str, Any]:
    """Return the sample of a job that has no cgroup on this node: it uses nothing here."""
    # There are no counters. They belong to a cgroup, and would go back to 0.
    return {"job_id": job_id, "timestamp": timestamp, "cpu_usage": 0.0, "memory_usage_mb": 0}


def with_gpus(sample: dict[str, Any], gpus: Sequence[GpuReading]) -> dict[str, Any]:
    """Add the job's GPUs to its sample. ``gpu_usage`` is the mean over GPUs that report one.

    The reading of a shared GPU is that of all jobs on it, so ``gpu_usage`` is too. No driver
    divides it by jobs. ``shared`` marks such a GPU.
    """
    if not gpus:
        return sample
    # A MIG device reports no utilisation: NVML has it for the whole GPU only.
    sample["gpus"] = [
        {
            name: value
            for name, value in zip(_GPU_FIELDS, map(gpu.__getattribute__, _GPU_FIELDS))
            if value is not None
        }
        for gpu in gpus
    ]
    used = [gpu.utilization_percent for gpu in gpus if gpu.utilization_percent is not None]
    if used:
        sample["gpu_usage"] = round(sum(used) / len(used), 2)
    return sample


def mebibytes(size: int) -> int:
    """Convert bytes to MiB, rounded to the nearest."""
    return (size + (1 << 19)) >> 20
