"""A sample as the contract spells it. Only what was read is in it: no zero stands for "unknown"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.gpus.readings import GpuReading
    from hpcobs_forwarder.readers.layout import Reading

_GPU_FIELDS = (
    "gpu_id",
    "gpu_vendor",
    "utilization_percent",
    "memory_used_mb",
    "memory_total_mb",
    "power_watts",
    "temperature_celsius",
)


def sample_of(job_id: str, timestamp: str, cpu_percent: float, reading: Reading) -> dict[str, Any]:
    """The sample of one job; memory in MiB, CPU in percent of the allocation."""
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


def with_gpus(sample: dict[str, Any], gpus: Sequence[GpuReading]) -> dict[str, Any]:
    """The sample with the job's GPUs; its ``gpu_usage`` is the mean of those that tell theirs."""
    if not gpus:
        return sample
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
    """``size`` bytes in MiB, rounded."""
    return (size + (1 << 19)) >> 20
