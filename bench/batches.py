"""Batches as a large site sends them, for the benchmarks."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

GPU = {"gpu_vendor": "nvidia", "memory_total_mb": 81_920}


def batch(
    node: str, jobs: list[str], *, samples: int, gpus: int, beginning: datetime | None = None
) -> bytes:
    """Return a node's batch of ``samples``, of its jobs in turn, each with ``gpus`` readings."""
    beginning = beginning or datetime.now(UTC) - timedelta(hours=1)
    entries = [
        _entry(jobs[number % len(jobs)], beginning + timedelta(seconds=number // len(jobs)), gpus)
        for number in range(samples)
    ]
    host = {"cpus": 64, "memory_total_mb": 512_000, "cpu_load": 3.5}
    content = {"node": node, "batch_id": str(uuid4()), "samples": entries, "host": host}
    return json.dumps(content).encode()


def _entry(job_id: str, at: datetime, gpus: int) -> dict[str, object]:
    entry: dict[str, object] = {
        "job_id": job_id,
        "timestamp": at.isoformat(),
        "cpu_usage": round(random.uniform(0, 100), 2),
        "memory_usage_mb": random.randrange(64_000),
        "memory_peak_mb": random.randrange(64_000),
        "cpu_seconds_total": round(random.uniform(0, 1e5), 2),
    }
    if gpus:
        entry["gpu_usage"] = round(random.uniform(0, 100), 2)
        entry["gpus"] = [_gpu(number) for number in range(gpus)]
    return entry


def _gpu(number: int) -> dict[str, object]:
    return GPU | {
        "gpu_id": f"GPU-{number}",
        "utilization_percent": round(random.uniform(0, 100), 1),
        "memory_used_mb": random.randrange(81_920),
        "power_watts": round(random.uniform(50, 700), 1),
        "temperature_celsius": random.randrange(30, 90),
    }
