"""A job's statistics after an event changed its run: what belongs to it is counted again.

Samples of a sealed day are gone, and its roll-ups stay (ADR 0009). So each step here changes the
samples, the roll-ups of sealed hours, and notes the other hours, which are rolled up again. A
sealed roll-up of five minutes is never divided: it counts at its last moment.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hpcobs.domain.lifecycle.outcome import Recompute
from hpcobs.domain.rollups import FIVE_MINUTES
from hpcobs.domain.samples import hour_of
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hpcobs.domain.jobs import Job
    from hpcobs.domain.lifecycle.outcome import Discard
    from hpcobs.storage.connections import Connection

_DISCARDING = load("discarding")
_STATISTICS = load("statistics")

_TO_LAST_MOMENT = timedelta(seconds=FIVE_MINUTES) - timedelta(microseconds=1)


def discard(connection: Connection, key: str, wrong: Discard) -> None:
    """Remove samples of a locked job, and the sealed roll-ups of such samples."""
    nodes = {"id": key, "kept_nodes": list(wrong.kept_nodes)}
    times = {"since": wrong.since, "until": wrong.until, "before": wrong.before}
    # Each hour once: two boundaries may lie in one, and its roll-ups are summed up again.
    edges = sorted({hour_of(time) for time in times.values() if time is not None})
    _execute(connection, "discard", nodes | times)
    moved_back = {name: time and time - _TO_LAST_MOMENT for name, time in times.items()}
    _execute(connection, "discard_rollups", nodes | moved_back | {"edges": edges})
    if edges:
        _execute(connection, "sum_edges", {"ids": [key], "edges": edges})


def move(
    connection: Connection,
    key: str,
    to: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> None:
    """Give samples and sealed roll-ups of a time to another job. Count both jobs' again."""
    jobs: dict[str, Any] = {"id": key, "to": to, "ids": [key, to]}
    times = {"since": since, "until": until}
    samples = _execute(connection, "move", jobs | times)
    edges = [hour_of(time) for time in times.values() if time is not None]
    moved_back = {name: time and time - _TO_LAST_MOMENT for name, time in times.items()}
    rollups = _execute(connection, "move_rollups", jobs | moved_back | {"edges": edges})
    _execute(connection, "sum_edges", jobs | {"edges": edges})
    if samples or rollups:
        # Of the readings that came with the samples, and those that were there, the latest stays.
        _execute(connection, "forget_latest", {"id": to})
        for job in (key, to):
            _count_anew(connection, job)


def release(connection: Connection, key: str, reported_id: str, since: datetime) -> None:
    """Let samples since a time wait for their job, under the id that the nodes report.

    Sealed roll-ups stay.
    """
    released = {"id": key, "reported_id": reported_id, "since": since}
    if _execute(connection, "release", released):
        _count_anew(connection, key)


def _count_anew(connection: Connection, key: str) -> None:
    _rebuild(connection, key)
    # Its GPUs' latest readings may have been those of the other job.
    connection.execute(_STATISTICS["restore_gpus"], {"id": key})
    _refresh(connection, key)


def recompute(connection: Connection, before: Job, after: Job, what: Recompute) -> None:
    """Compute the statistics of a saved job again. ``before`` is what they were computed for."""
    if what is not Recompute.WEIGHTS:
        counted_since = before.statistics_since or before.start_time
        # What was counted, and is to stay, begins at the later of the two boundaries.
        readable_since = max(counted_since, after.statistics_since or after.start_time)
        _rebuild(
            connection,
            after.key,
            anew=what is Recompute.RUN,
            discarded=what is Recompute.SAMPLES,
            counted_since=counted_since,
            readable_since=readable_since,
        )
        if _begins_earlier(after, before):
            connection.execute(_STATISTICS["restore_gpus"], {"id": after.key})
    _refresh(connection, after.key)


def _begins_earlier(after: Job, before: Job) -> bool:
    if before.statistics_since is None:
        return False
    return after.statistics_since is None or after.statistics_since < before.statistics_since


def _rebuild(connection: Connection, key: str, *, anew: bool = True, **boundary: Any) -> None:
    connection.execute(load("jobs")["reset_nodes"], {"id": key})
    given: dict[str, Any] = {"discarded": False, "counted_since": None, "readable_since": None}
    parameters = given | boundary | {"id": key, "anew": anew}
    connection.execute(_STATISTICS["rebuild_nodes"], parameters)


def _refresh(connection: Connection, key: str) -> None:
    connection.execute(_STATISTICS["refresh_jobs"], {"ids": [key]})


def _execute(connection: Connection, name: str, parameters: Mapping[str, Any]) -> int:
    """Run a statement of ``discarding.sql``. Return the number that it counts, if any."""
    # Never prepared: a plan for given times leaves out the other days' partitions.
    cursor = connection.execute(_DISCARDING[name], parameters, prepare=False)
    row = cursor.fetchone() if cursor.description else None
    return int(row[0]) if row else 0
