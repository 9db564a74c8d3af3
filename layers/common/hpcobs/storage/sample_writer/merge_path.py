"""The merge path: samples that may be stored already, or whose job is unknown, are looked up.

They are staged first. Statements over the staging tables then store what is new (ADR 0008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.samples import Stored
from hpcobs.storage.queries import load
from hpcobs.storage.sample_writer.copy import GPU_TYPES, STAGED_TYPES, copy

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from hpcobs.domain.samples import QueuedSample
    from hpcobs.storage.connections import Connection

_MERGE = load("merge_path")
_WRITER = load("sample_writer")


def stage(connection: Connection, samples: Sequence[QueuedSample]) -> int:
    """Empty the staging tables and put samples into them.

    Of several samples with one key the first is staged. Return the number of the others.
    """
    # The append path of the same transaction may have left its sums and readings there.
    connection.execute(_WRITER["clear_staging"])
    # Staged readings are found by their sample's key, so those of a repeated sample would count.
    firsts: dict[tuple[str, datetime, str], QueuedSample] = {}
    for sample in samples:
        firsts.setdefault((sample.job_id, sample.timestamp, sample.node), sample)
    staged = firsts.values()
    copy(connection, _MERGE["stage_samples"], STAGED_TYPES, (sample[:-1] for sample in staged))
    gpus = [gpu for sample in staged for gpu in sample.gpus]
    if gpus:
        copy(connection, _WRITER["stage_gpus"], GPU_TYPES, gpus)
    return len(samples) - len(firsts)


def merge(connection: Connection, job_ids: Collection[str]) -> tuple[Stored, set[str]]:
    """Store the staged samples that are new. Return the counts and the jobs with new statistics.

    ``job_ids`` are locked. Samples of other jobs wait until their job is known.
    """
    connection.execute(_WRITER["stage_known_jobs"], {"ids": list(job_ids)})
    waiting, unknown = connection.execute(_MERGE["keep_waiting"]).fetchone() or (0, 0)
    inserted, known = connection.execute(_MERGE["merge"]).fetchone() or (0, 0)
    connection.execute(_WRITER["add_sums"])
    changed = {job_id for (job_id,) in connection.execute(_MERGE["changed_jobs"])}
    connection.execute(_MERGE["merge_gpus"])
    connection.execute(_WRITER["update_latest_gpus"])
    duplicates = known - inserted + unknown - waiting
    return Stored(stored=inserted, duplicates=duplicates, waiting=waiting), changed
