"""Work whose cost must not grow over the years: each with little and with much data stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import psycopg

from bench.database import migrated_database, single_connection
from bench.measuring import Figure, show, timed
from hpcobs.domain.audit import AuditInfo
from hpcobs.domain.events import JobFinished, JobStarted
from hpcobs.domain.lifecycle.job_from_event import Origin
from hpcobs.domain.queries import JobFilter
from hpcobs.domain.samples import QueuedSample
from hpcobs.domain.states import JobState
from hpcobs.exposition.text import write
from hpcobs.ports.samples import WriteBatch
from hpcobs.service.job_events import JobEvents
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.scrape import PostgresScrape
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings

if TYPE_CHECKING:
    from collections.abc import Callable

DAYS = (1, 10, 30)
SAMPLES_A_DAY = 200_000
FINISHED = (10, 20_000, 1_000_000)
"""A page counts jobs up to 10,001, so more of them cost no more."""
RUNNING = 1000
ROUNDS = 11

STORE_DAY = b"""
INSERT INTO metric_samples (job_id, "timestamp", node, cpu_usage, memory_usage_mb)
SELECT (n %% 1000)::text, %(day)s::date + n / 1000 * interval '7 minutes', 'n1', 1, 1
FROM generate_series(0, %(samples)s - 1) AS n
"""
FINISH = b"""
WITH made AS (
    INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time, end_time, partition,
                      account, cluster_name, name)
    SELECT 'f' || n, 'user' || n %% 200, 'n' || n %% 1000, 1, 'completed',
           now() - n * interval '30 seconds', now(), 'p' || n %% 5, 'a' || n %% 50, 'bench',
           'name' || n %% 500
    FROM generate_series(%(first)s::int, %(last)s) AS n
    RETURNING id, nodes, start_time
)
INSERT INTO job_nodes (job_id, node, start_time) SELECT * FROM made
"""


class Site:
    """A site with running jobs, and the work that is measured."""

    def __init__(self, url: str) -> None:
        connections = single_connection(url)
        timings = OperationTimings()
        self.store = PostgresStore(connections, timings)
        self.writer = PostgresSampleWriter(connections, timings)
        self.scrape = PostgresScrape(connections, timings, home_cluster="lab")
        self.events = JobEvents(self.store, Origin(home_cluster="bench"))
        self.audit = AuditInfo("bench", "bench", "bench")
        self._ids = count(1_000_000)
        self._chance = Random(1)
        self._now = datetime.now(UTC)
        for number in range(RUNNING):
            self._start(str(number))

    def _start(self, job_id: str) -> None:
        started = JobStarted(job_id=job_id, user="ada", nodes=("n1",), timestamp=datetime.now(UTC))
        self.events.job_started(started, self.audit)

    def an_event(self) -> None:
        """Start and end a hundred jobs."""
        for _ in range(100):
            job_id = str(next(self._ids))
            self._start(job_id)
            ended = JobFinished(
                job_id=job_id,
                final_state=JobState.COMPLETED,
                timestamp=datetime.now(UTC),
                exit_code=0,
                signal=0,
            )
            self.events.job_finished(ended, self.audit)

    def a_page(self) -> None:
        """Read the first page of all jobs."""
        self.store.jobs.page(JobFilter(), limit=50)

    def a_scrape(self) -> None:
        """Render a scrape, without the group of the service's own metrics."""
        with self.scrape.snapshot(frozenset({"jobs", "gpus", "nodes"})) as snapshot:
            write(snapshot, openmetrics=False)

    def a_write(self) -> None:
        """Write ten samples of each running job."""
        self._now += timedelta(seconds=100)
        self.writer.store(WriteBatch(samples=[*self._samples()], hosts=[], rejected=[]))

    def _samples(self) -> list[QueuedSample]:
        unread = (None,) * 6
        return [
            QueuedSample(
                str(job),
                self._now + timedelta(seconds=10 * number),
                self._chance.uniform(0, 100),
                self._chance.randrange(64_000),
                None,
                *unread,
                "n1",
            )
            for number in range(10)
            for job in range(RUNNING)
        ]


def run() -> None:
    """Measure and print the results."""
    with migrated_database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        site = Site(url)
        _days(site, connection)
        _jobs(site, connection)


def _days(site: Site, connection: psycopg.Connection) -> None:
    figures = []
    stored = 0
    for days in DAYS:
        for ago in range(stored + 1, days + 1):
            day = datetime.now(UTC).date() - timedelta(days=ago)
            connection.execute("SELECT ensure_day_partition('metric_samples', %s)", [day])
            connection.execute(STORE_DAY, {"day": day, "samples": SAMPLES_A_DAY})
        stored = days
        connection.execute("VACUUM ANALYZE metric_samples")
        figures.append(_figure(f"{days} days stored", site.a_write, connection))
    show(
        f"{10 * RUNNING:,} samples stored, with days of {SAMPLES_A_DAY:,} samples stored, "
        f"{ROUNDS} rounds",
        figures[0],
        figures[1:],
        target="≤ 1.15 ×",
    )


def _jobs(site: Site, connection: psycopg.Connection) -> None:
    figures: dict[str, list[Figure]] = {}
    work = {
        "100 starts and ends": site.an_event,
        "first page": site.a_page,
        "scrape": site.a_scrape,
    }
    finished = 0
    for jobs in FINISHED:
        # The trigger would append a counter row for each of these jobs, to be folded later.
        connection.execute("ALTER TABLE jobs DISABLE TRIGGER USER")
        connection.execute(FINISH, {"first": finished + 1, "last": jobs})
        connection.execute("ALTER TABLE jobs ENABLE TRIGGER USER")
        finished = jobs
        for table in ("jobs", "job_nodes"):
            connection.execute(f"VACUUM ANALYZE {table}".encode())
        for name, what in work.items():
            figure = _figure(f"{name}, {jobs:,} finished jobs", what, connection)
            figures.setdefault(name, []).append(figure)
    for name, (little, *much) in figures.items():
        title = f"{name}, {RUNNING:,} running jobs, {ROUNDS} rounds"
        show(title, little, much, target="≤ 1.15 ×")


def _figure(name: str, work: Callable[[], None], connection: psycopg.Connection) -> Figure:
    # Unfolded counters and a checkpoint in the middle would count as the measured work's own.
    connection.execute("SELECT fold_counters(), fold_operation_timings()")
    connection.execute("CHECKPOINT")
    work()
    return Figure(name, "ms", [timed(work) * 1000 for _ in range(ROUNDS)])
