"""The job that a sample counts for, where Slurm has used a job id again.

A node reports a sample under the id that Slurm uses. Which submission of that id it is of, its time
shows. ``job_of_sample`` of migration 0007 is the same rule for samples that wait in the database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from hpcobs.domain.samples import LATE_SAMPLE, SUBMISSION_SKEW
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hpcobs.domain.samples import QueuedSample
    from hpcobs.storage.connections import Connection

_WRITER = load("sample_writer")

_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


class Submission(NamedTuple):
    """One submission of a reused id: its key, its time, and the job's end (None: it is open)."""

    key: str
    since: datetime
    end_time: datetime | None


def read_submissions(
    connection: Connection, job_ids: Collection[str]
) -> dict[str, list[Submission]]:
    """Return the submissions of those ids that Slurm has used again, the latest first."""
    found: dict[str, list[Submission]] = {}
    rows = connection.execute(_WRITER["submissions"], {"ids": list(job_ids)})
    for job_id, key, since, end_time in rows:
        found.setdefault(job_id, []).append(Submission(key, since or _BEFORE_ALL, end_time))
    return found


def by_submission(
    samples: Sequence[QueuedSample], reused: Mapping[str, Sequence[Submission]]
) -> list[QueuedSample]:
    """Return the samples, each with the key of its job.

    A sample from after the end of its submission keeps its id, under which it waits for a later
    submission.
    """
    return [
        _with_key(sample, _key_at(reused[sample.job_id], sample.timestamp) or sample.job_id)
        if sample.job_id in reused
        else sample
        for sample in samples
    ]


def _key_at(submissions: Sequence[Submission], at: datetime) -> str | None:
    """Return the key of the job that a sample counts for, or None if it is not stored yet."""
    after: Submission | None = None
    chosen = submissions[-1]
    for submission in submissions:
        if submission.since <= at:
            chosen = submission
            break
        after = submission
    if chosen.end_time is None or at <= chosen.end_time:
        return chosen.key
    if after is not None and after.since - SUBMISSION_SKEW <= at:
        return after.key
    return None if at > chosen.end_time + LATE_SAMPLE else chosen.key


def _with_key(sample: QueuedSample, key: str) -> QueuedSample:
    gpus = tuple(gpu._replace(job_id=key) for gpu in sample.gpus)
    return sample._replace(job_id=key, gpus=gpus)
