"""Samples that may be known already, or whose job is not: staged, then told apart by statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.samples import Stored
from hpcobs.storage.copying import GPU_TYPES, STAGED_TYPES, copy
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hpcobs.domain.samples import QueuedSample
    from hpcobs.storage.connections import Connection

_SINK = load("sink")


def stage(connection: Connection, samples: Sequence[QueuedSample]) -> None:
    """Put samples into the staging tables, which hold nothing else then."""
    connection.execute(_SINK["clear"])
    copy(connection, _SINK["copy_samples"], STAGED_TYPES, (sample[:-1] for sample in samples))
    gpus = [gpu for sample in samples for gpu in sample.gpus]
    if gpus:
        copy(connection, _SINK["copy_gpus"], GPU_TYPES, gpus)


def merge(connection: Connection, job_ids: Collection[str]) -> tuple[Stored, set[str]]:
    """Bring what is staged into its tables; and whose statistics that has changed.

    ``job_ids`` are locked; samples of other jobs wait until their job is known.
    """
    connection.execute(_SINK["know_jobs"], {"ids": list(job_ids)})
    waiting, unknown = connection.execute(_SINK["wait"]).fetchone() or (0, 0)
    inserted, known = connection.execute(_SINK["merge"]).fetchone() or (0, 0)
    connection.execute(_SINK["add_sums"])
    changed = {job_id for (job_id,) in connection.execute(_SINK["added_jobs"])}
    connection.execute(_SINK["merge_gpus"])
    connection.execute(_SINK["see_gpus"])
    duplicates = known - inserted + unknown - waiting
    return Stored(stored=inserted, duplicates=duplicates, waiting=waiting), changed
