"""Read a service's tables as rows that can be compared. Jobs go by the ids that the API shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg

from tests.books.books import Named

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


def url_of(folder: Path) -> str:
    """Return the URL of the embedded PostgreSQL in a service's data folder."""
    postgres = folder / "postgres"
    port = (postgres / "data" / "postmaster.pid").read_text().splitlines()[3]
    password = (postgres / "password").read_text().strip()
    return f"postgresql://hpcobs:{password}@127.0.0.1:{port}/hpcobs"


class Database:
    """A service's database. Each query has a connection of its own: PostgreSQL may be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(url_of(self._folder), connect_timeout=5) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def change(self, statement: str) -> None:
        """Execute a statement."""
        with psycopg.connect(url_of(self._folder), connect_timeout=5) as connection:
            connection.execute(statement.encode())

    def sealed(self) -> dict[str, datetime]:
        """Return the time before which samples are gone, by table. Only roll-ups are left."""
        # PostgreSQL's -infinity has no datetime.
        query = "SELECT samples, greatest(sealed_before, '1000-01-01') FROM rollup_states"
        return {str(table): moment for table, moment in self.rows(query)}

    def sealed_before(self) -> datetime:
        """Return the time before which samples of any kind are gone."""
        return max(self.sealed().values())

    def queued(self) -> int:
        """Return how many messages wait in the queue, visible or not."""
        return int(self.rows("SELECT count(*) FROM sample_queue")[0][0])

    def serials(self) -> dict[tuple[str, str, datetime], int]:
        """Return the serial number of each stored sample, by its key."""
        return {key: serial for key, (serial, *_) in self.samples().items()}

    def samples(self) -> dict[tuple[str, str, datetime], tuple[Any, ...]]:
        """Return the stored samples by key."""
        query = """
            SELECT coalesce(public_id, job_id), node, "timestamp", io_read_bytes_total,
                   metric_samples.cpu_usage, metric_samples.memory_usage_mb,
                   coalesce(metric_samples.gpu_usage, -1)
            FROM metric_samples LEFT JOIN jobs ON jobs.id = job_id
        """
        return _by_key(self.rows(query), 3)

    def gpu_samples(self) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Return the stored GPU readings by key and GPU."""
        query = """
            SELECT coalesce(public_id, job_id), node, "timestamp", gpu_id, utilization_percent,
                   memory_used_mb, power_watts
            FROM gpu_samples LEFT JOIN jobs ON jobs.id = job_id
        """
        return _by_key(self.rows(query), 4)

    def rejected(self) -> dict[Named, str]:
        """Return the rejected samples, and why each was rejected."""
        query = "SELECT node, batch_id, position, payload, reason FROM rejected_samples"
        return {
            Named(node, batch_id, position, json.loads(payload)["io_read_bytes_total"]): reason
            for node, batch_id, position, payload, reason in self.rows(query)
        }

    def rollups(self, seconds: int, before: datetime) -> dict[Any, tuple[Any, ...]]:
        """Return the roll-ups of so many seconds that begin before a time."""
        query = """
            SELECT coalesce(public_id, job_id), node, "timestamp", r.sample_count, cpu_usage_sum,
                   cpu_usage_max, memory_usage_mb_sum, memory_usage_mb_max, gpu_sample_count,
                   coalesce(gpu_usage_sum, 0), coalesce(gpu_usage_max, 0)
            FROM metric_rollups AS r LEFT JOIN jobs ON jobs.id = job_id
            WHERE seconds = %s AND "timestamp" < %s
        """
        return _by_key(self.rows(query, seconds, before), 3)

    def gpu_rollups(self, seconds: int, before: datetime) -> dict[Any, tuple[Any, ...]]:
        """Return the roll-ups of GPUs of so many seconds that begin before a time."""
        query = """
            SELECT coalesce(public_id, job_id), node, "timestamp", gpu_id, r.sample_count,
                   utilization_percent_sum, utilization_percent_max, memory_used_mb_sum,
                   memory_used_mb_max, power_watts_sum
            FROM gpu_rollups AS r LEFT JOIN jobs ON jobs.id = job_id
            WHERE seconds = %s AND "timestamp" < %s
        """
        return _by_key(self.rows(query, seconds, before), 4)


def _by_key(rows: list[tuple[Any, ...]], key: int) -> dict[Any, tuple[Any, ...]]:
    return {row[:key]: row[key:] for row in rows}
