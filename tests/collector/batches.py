"""Batches as nodes send them, and the expected sums of their samples, computed independently."""

from __future__ import annotations

import json
import random
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hpcobs.ports.clock import utc_now

if TYPE_CHECKING:
    from datetime import datetime

Key = tuple[str, str, str]
"""A sample's unique key: job, node, time."""


@dataclass
class Sent:
    """All samples that were sent, by their key: the first value counts."""

    samples: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def batch(self, node: str, samples: list[dict[str, Any]], **extra: Any) -> bytes:
        """Make the body of a batch, and record its samples."""
        for sample in samples:
            self.samples.setdefault((sample["job_id"], node, sample["timestamp"]), sample)
        return body(node, samples, **extra)

    def expected(self, job_id: str) -> dict[str, Any]:
        """Return the expected statistics of a job."""
        by_node: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for (job, node, _), sample in self.samples.items():
            if job == job_id:
                by_node[node].append(sample)
        samples = [sample for node in by_node.values() for sample in node]
        if not samples:
            return {"sample_count": 0}
        latest = [max(node, key=lambda sample: sample["timestamp"]) for node in by_node.values()]
        cpu = [sample["cpu_usage"] for sample in samples]
        gpu = [sample["gpu_usage"] for sample in samples if "gpu_usage" in sample]
        return {
            "sample_count": len(samples),
            "avg_cpu_usage": sum(cpu) / len(cpu),
            "max_cpu_usage": max(cpu),
            "max_memory_usage_mb": sum(
                max(sample["memory_usage_mb"] for sample in node) for node in by_node.values()
            ),
            "avg_gpu_usage": sum(gpu) / len(gpu) if gpu else None,
            "max_gpu_usage": max(gpu, default=None),
            "cpu_usage": sum(sample["cpu_usage"] for sample in latest) / len(latest),
            "memory_usage_mb": sum(sample["memory_usage_mb"] for sample in latest),
        }


def body(node: str, samples: list[dict[str, Any]], **extra: Any) -> bytes:
    """Make the body of a batch."""
    batch = {"node": node, "batch_id": str(uuid.uuid4()), "samples": samples, **extra}
    return json.dumps(batch).encode()


def sample(job_id: str, at: datetime, chance: random.Random, **extra: Any) -> dict[str, Any]:
    """Make a sample with random values."""
    made: dict[str, Any] = {
        "job_id": job_id,
        "timestamp": at.isoformat(),
        "cpu_usage": round(chance.uniform(0, 100), 3),
        "memory_usage_mb": chance.randrange(64_000),
    }
    if chance.random() < 0.5:
        made["gpu_usage"] = round(chance.uniform(0, 100), 3)
        made["gpus"] = [
            {"gpu_id": "0", "gpu_vendor": "nvidia", "utilization_percent": made["gpu_usage"]}
        ]
    return made | extra


def many(
    sent: Sent, *, jobs: int, nodes: int, rounds: int, chance: random.Random, per_batch: int = 3
) -> list[bytes]:
    """Make batches of several nodes on which the same jobs run, with a sample every ten seconds."""
    beginning = utc_now() - timedelta(hours=1)
    batches = []
    for node in range(nodes):
        samples = [
            sample(str(job), beginning + timedelta(seconds=10 * number), chance)
            for number in range(rounds)
            for job in range(1, jobs + 1)
        ]
        batches += [
            sent.batch(f"n{node + 1}", samples[first : first + per_batch])
            for first in range(0, len(samples), per_batch)
        ]
    return batches
