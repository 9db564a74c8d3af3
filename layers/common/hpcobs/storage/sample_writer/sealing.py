"""Samples of dropped days: they are rejected, because their day has roll-ups only (ADR 0030).

What the transaction reads under its lock decides, not a setting: retention may have run with
another one. A sample and its GPU readings are stored together or not at all, so the later of both
tables' limits counts for a sample with readings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs.domain.samples import GpuSample, QueuedSample
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from hpcobs.storage.connections import Connection
    from hpcobs.storage.sample_writer.append_path import SplitSamples

_MERGE = load("merge_path")


class Seals(NamedTuple):
    """The times before which the days of samples, and of GPU readings, are dropped (None: none)."""

    samples: datetime | None = None
    gpus: datetime | None = None

    def may_exclude(self, hours: Collection[datetime]) -> bool:
        """Return whether samples of some of these hours may be of dropped days."""
        limits = [limit for limit in self if limit is not None]
        return bool(limits and hours) and min(hours) < max(limits)

    def exclude(self, sample: QueuedSample) -> bool:
        """Return whether a sample, or one of its readings, is of a dropped day."""
        at = sample.timestamp
        if self.samples is not None and at < self.samples:
            return True
        return bool(sample.gpus) and self.gpus is not None and at < self.gpus


def take_sealed(by_path: SplitSamples, seals: Seals) -> list[QueuedSample]:
    """Remove the samples of dropped days from both paths, and return them."""
    sealed: list[QueuedSample] = []
    for place, group in list(by_path.to_append.items()):
        late = [sample for sample in group if seals.exclude(sample)]
        sealed += late
        if len(late) == len(group):
            del by_path.to_append[place]
        elif late:
            by_path.to_append[place] = [one for one in group if not seals.exclude(one)]
    sealed += [sample for sample in by_path.to_merge if seals.exclude(sample)]
    by_path.to_merge = [sample for sample in by_path.to_merge if not seals.exclude(sample)]
    return sealed


def unstage_sealed(connection: Connection, seals: Seals) -> list[QueuedSample]:
    """Remove the samples of dropped days from the staging tables, and return them."""
    parameters = {"samples_sealed_before": seals.samples, "gpus_sealed_before": seals.gpus}
    rows = connection.execute(_MERGE["unstage_sealed"], parameters).fetchall()
    readings: dict[tuple[Any, ...], list[GpuSample]] = {}
    for row in connection.execute(_MERGE["unstage_gpus"]) if rows else ():
        gpu = GpuSample(*row)
        readings.setdefault((gpu.job_id, gpu.timestamp, gpu.node), []).append(gpu)
    samples = [QueuedSample(*row) for row in rows]
    return [
        sample._replace(gpus=readings.get((sample.job_id, sample.timestamp, sample.node), ()))
        for sample in samples
    ]


def take_overdue(connection: Connection, before: datetime, *, limit: int) -> list[QueuedSample]:
    """Delete samples that have waited for their job since before a time, and return them."""
    rows = connection.execute(_MERGE["take_overdue"], {"before": before, "limit": limit})
    return [_waited(*row) for row in rows.fetchall()]


def _waited(at: datetime, values: dict[str, Any], gpus: list[dict[str, Any]]) -> QueuedSample:
    """Return a waiting sample. The version before wrote no ``cluster_name`` and ``reported_id``."""
    sample: dict[str, Any] = {name: values.get(name) for name in QueuedSample._fields}
    sample["timestamp"] = at
    sample["gpus"] = [GpuSample(**(gpu | {"timestamp": at})) for gpu in gpus]
    return QueuedSample(**sample)
