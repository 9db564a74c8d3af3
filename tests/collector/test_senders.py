"""Each sample is stored once or rejected by its own sender, whatever settings and clocks do."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.samples import Sample
from hpcobs.ports.clock import utc_now
from hpcobs.ports.rejected import RejectedFilter
from hpcobs.service.jobs import Jobs
from tests.collector.senders import Books, Origin, batch_id, entry

if TYPE_CHECKING:
    from tests.collector.conftest import Site

NODES = ("n1", "n2")
JOBS = ("1", "2")
DAYS = 6
TABLES = (
    *("jobs", "job_nodes", "job_gpus", "job_audit_events", "metric_samples", "gpu_samples"),
    *("metric_rollups", "gpu_rollups", "unrolled_hours", "rejected_samples", "waiting_samples"),
    *("sample_queue", "unmatched_starts"),
)

clusters = st.sampled_from([None, "b"])
nodes = st.sampled_from(NODES)
jobs = st.sampled_from(JOBS)
days = st.integers(0, DAYS)
retentions = st.sampled_from([1, 2, 4, 30])
clocks = st.sampled_from([timedelta(), timedelta(days=30), timedelta(days=-30)])
# Over 100 is invalid. Few values and times, so that keys and contents repeat.
taken = st.tuples(jobs, days, st.integers(0, 2), st.sampled_from([3.5, 40, 50, 200]))


class Senders(RuleBasedStateMachine):
    """Two clusters with the same nodes and jobs, and a service with changing settings."""

    site: ClassVar[Site]

    def __init__(self) -> None:
        super().__init__()
        self.site.query(f"TRUNCATE {', '.join(TABLES)}")
        self.site.query("UPDATE rollup_states SET rolled_before = DEFAULT, sealed_before = DEFAULT")
        self.today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
        self.books = Books()
        self.posted: list[bytes] = []
        self.gpus_since = datetime.min.replace(tzinfo=UTC)

    def at(self, day: int, minute: int) -> datetime:
        return self.today - timedelta(days=day, minutes=10 * minute + 1)

    @rule(
        cluster=clusters,
        node=nodes,
        batch=st.integers(1, 2),
        samples=st.lists(taken, min_size=1, max_size=4),
    )
    def send(
        self,
        cluster: str | None,
        node: str,
        batch: int,
        samples: list[tuple[str, int, int, float]],
    ) -> None:
        entries = [entry(job, self.at(day, minute), cpu) for job, day, minute, cpu in samples]
        content = {"node": node, "batch_id": batch_id(batch), "samples": entries}
        body = json.dumps(content | ({"cluster_name": cluster} if cluster else {})).encode()
        try:
            self.site.post(body)
        except InvalidInputError:
            assert all(sample["cpu_usage"] > 100 for sample in entries)
            return
        self.posted.append(body)
        for position, sample in enumerate(entries):
            self.books.send(Origin(cluster, node, batch_id(batch), position), sample)

    @rule(chosen=st.integers(0))
    def send_again(self, chosen: int) -> None:
        if self.posted:
            self.site.post(self.posted[chosen % len(self.posted)])

    @rule(job=jobs, cluster=clusters)
    def start(self, job: str, cluster: str | None) -> None:
        at = self.today - timedelta(days=DAYS + 2)
        self.site.start_jobs(job, nodes=NODES, timestamp=at, cluster_name=cluster)

    @rule(days=retentions, ahead=clocks)
    def collect(self, days: int, ahead: timedelta) -> None:
        self.site.collect(retention_days=days, clock=lambda: utc_now() + ahead)
        self.look()

    @rule(day=days, both=st.booleans())
    def drop(self, day: int, *, both: bool) -> None:
        before = self.today - timedelta(days=day)
        self.gpus_since = max(self.gpus_since, before)
        self.site.drop_days(before, *(() if both else ("gpu_samples",)))

    @rule()
    def give_up_waiting(self) -> None:
        self.site.age_waiting()

    @rule(days=retentions)
    def replay(self, days: int) -> None:
        self.site.rejected(retention_days=days).replay(RejectedFilter())
        self.look()

    @rule(job=jobs, node=nodes, day=days, minute=st.integers(0, 2), days=retentions)
    def post_one(self, job: str, node: str, day: int, minute: int, days: int) -> None:
        if self.site.store.jobs.get(job) is None:
            return
        use_cases = Jobs(self.site.store, kept_days=days, stale_after=timedelta(hours=1))
        with suppress(InvalidInputError):
            use_cases.add_sample(Sample(job, self.at(day, minute), node, 3.5, 1))
        self.look()

    def look(self) -> None:
        self.books.look(self.site, gpus_since=self.gpus_since)

    def teardown(self) -> None:
        # What waits at the end is stored or rejected first.
        self.site.collect(retention_days=30)
        self.site.age_waiting()
        self.site.collect(retention_days=30)
        self.look()
        self.books.check(self.site)


@pytest.mark.timeout(900)
def test_every_sample_is_stored_or_rejected(site: Site) -> None:
    many = settings(max_examples=25, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(type("SendersHere", (Senders,), {"site": site}), settings=many)
