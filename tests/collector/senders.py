"""Senders that reuse batch ids, repeat samples and differ in content, and the books about them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from tests.collector.conftest import Site

Key = tuple[str, datetime, str]
"""A sample's unique key: job, time, node."""


class Origin(NamedTuple):
    """Where a sample comes from. Senders choose the ids of their batches."""

    cluster: str | None
    node: str
    batch: str
    position: int


def batch_id(number: int) -> str:
    """Return one of few ids, which several senders use."""
    return str(UUID(int=number))


def entry(job_id: str, at: datetime, cpu: float) -> dict[str, Any]:
    """Make a sample. Its CPU usage determines the rest, so that it identifies the content."""
    made = {"job_id": job_id, "timestamp": at.isoformat(), "cpu_usage": cpu, "memory_usage_mb": 1}
    gpus = [{"gpu_id": name, "gpu_vendor": "amd", "utilization_percent": cpu} for name in of(cpu)]
    return made | ({"gpus": gpus, "gpu_usage": cpu} if gpus else {})


def of(cpu: float) -> list[str]:
    """Return the ids of the GPUs in the sample with this CPU usage: none, one or two."""
    return ["0", "1"][: int(cpu) % 3]


def same(entries: dict[str, Any]) -> str:
    """Return a sample's content in one form, however its JSON was written."""
    values = {name: value for name, value in entries.items() if value not in (None, [])}
    at = datetime.fromisoformat(str(values["timestamp"])).astimezone(UTC)
    return json.dumps(values | {"timestamp": at.isoformat()}, sort_keys=True).replace(".0,", ",")


@dataclass
class Books:
    """What was sent and what was ever stored. They use none of the product's code."""

    sent: dict[tuple[Origin, str], dict[str, Any]] = field(default_factory=dict)
    stored: dict[Key, float] = field(default_factory=dict)

    def send(self, origin: Origin, sample: dict[str, Any]) -> None:
        self.sent[origin, same(sample)] = sample

    def look(self, site: Site, *, gpus_since: datetime) -> None:
        """Record the stored samples. Check that each has its own readings, and no others."""
        found: dict[Key, list[str]] = defaultdict(list)
        rows = site.query(
            'SELECT job_id, "timestamp", node, gpu_id, utilization_percent FROM gpu_samples'
            " ORDER BY gpu_id"
        )
        for job, at, node, gpu, percent in rows:
            assert self._cpu(site, (job, at, node)) == percent
            found[job, at, node].append(gpu)
        for *key, cpu in site.query(
            'SELECT job_id, "timestamp", node, cpu_usage FROM metric_samples'
        ):
            job, at, node = key
            assert self.stored.setdefault((job, at, node), cpu) == cpu
            if at >= gpus_since:
                assert found[job, at, node] == of(cpu)

    def _cpu(self, site: Site, key: Key) -> float:
        statement = (
            'SELECT cpu_usage FROM metric_samples WHERE (job_id, "timestamp", node) = (%s, %s, %s)'
        )
        rows = site.query(statement, *key)
        # A day's samples may be dropped before its readings are.
        return float(rows[0][0]) if rows else self.stored[key]

    def check(self, site: Site) -> None:
        """Check that each sample is stored once, or rejected by its own sender and content.

        Of several samples with one key, one is enough: the others are its duplicates.
        """
        rejected = Counter(
            (Origin(cluster, node, batch, position), same(json.loads(payload)))
            for cluster, node, batch, position, payload in site.query(
                "SELECT cluster_name, node, batch_id, position, payload FROM rejected_samples"
            )
        )
        assert rejected.keys() <= self.sent.keys()
        assert all(count == 1 for count in rejected.values()), "rejected twice"
        valid = {
            place: self._key(place[0], sample)
            for place, sample in self.sent.items()
            if sample["cpu_usage"] <= 100
        }
        kept = {key for place, key in valid.items() if place in rejected} | self.stored.keys()
        for place in self.sent:
            assert place in rejected or valid.get(place) in kept, f"{place}: nowhere"
        for job in {key[0] for key in self.stored}:
            self._check_job(site, job)

    @staticmethod
    def _key(origin: Origin, sample: dict[str, Any]) -> Key:
        prefix = f"{origin.cluster}." if origin.cluster else ""
        at = datetime.fromisoformat(sample["timestamp"])
        return f"{prefix}{sample['job_id']}", at, origin.node

    def _check_job(self, site: Site, job: str) -> None:
        cpu = [value for key, value in self.stored.items() if key[0] == job]
        found = site.statistics(job)
        assert found["sample_count"] == len(cpu)
        assert abs(found["avg_cpu_usage"] - sum(cpu) / len(cpu)) < 1e-6
        assert sum(point.count or 0 for point in site.hourly(job)) == len(cpu)
