"""Jobs are stored with all fields and with their audit row, and every filter finds them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.events import RunEnd
from hpcobs.domain.jobs import (
    GpuVendor,
    Job,
    Precedence,
    Resources,
    SchedulerInfo,
    SchedulerType,
    Usage,
)
from hpcobs.domain.lifecycle.outcome import Recompute
from hpcobs.domain.queries import JobFilter
from hpcobs.domain.states import JobState
from hpcobs.storage.jobs import MOST_HELD_STARTS
from tests.builders import AUDIT, at, running_job
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query

WHOLE = Job(
    id="42_7",
    user='o"brien\\',
    nodes=("n1", "n2"),
    state=JobState.FAILED,
    start_time=at(0),
    end_time=at(90),
    name="line\nbreak",
    cluster_name="lab",
    scheduler_instance="ctl1",
    ingest_version="1",
    array_job_id="42",
    array_task_id="7",
    restart_count=2,
    resources=Resources(
        requested_cpus=4,
        allocated_cpus=8,
        requested_memory_mb=100,
        allocated_memory_mb=200,
        requested_gpus=1,
        allocated_gpus=2,
        gpu_vendor=GpuVendor.NVIDIA,
        gpu_devices=("0", "1"),
        cgroup_path="/job_42",
    ),
    usage=Usage(
        cpu_usage=1.5,
        memory_usage_mb=2,
        gpu_usage=3.5,
        last_sample_at=at(80),
        sample_count=9,
        avg_cpu_usage=4.5,
        max_cpu_usage=5.5,
        max_memory_usage_mb=6,
        avg_gpu_usage=7.5,
        max_gpu_usage=8.5,
    ),
    scheduler=SchedulerInfo(
        type=SchedulerType.SLURM,
        external_job_id="49",
        raw_state="OUT_OF_MEMORY",
        submit_time=at(-30),
        partition="gpu",
        account="physics",
        qos="high",
        priority=2**40,
        exit_code=1,
        signal=9,
        state_reason="OutOfMemory",
        time_limit_minutes=60,
        extra={"comment": "a'b"},
    ),
    start_estimated=True,
    statistics_since=at(1),
    ended_by=Precedence.CONTROLLER_SYNC,
    scheduler_seen_at=at(95),
)


def test_job_fields_survive_database(store: PostgresStore) -> None:
    assert store.jobs.create(WHOLE, AUDIT)
    assert store.jobs.get(WHOLE.id) == WHOLE


def test_job_fields_survive_audit_snapshot(store: PostgresStore) -> None:
    store.jobs.create(WHOLE, AUDIT)
    (event,) = store.audit.of_job(WHOLE.id)
    assert event.snapshot == WHOLE
    assert (event.change_type, event.info) == (ChangeType.UPSERT, AUDIT)


def test_taken_id_is_rejected_without_trace(store: PostgresStore, query: Query) -> None:
    store.jobs.create(running_job(), AUDIT)
    assert not store.jobs.create(running_job(5, user="eve"), AUDIT)
    assert query("SELECT count(*) FROM job_audit_events") == [(1,)]
    job = store.jobs.get("1")
    assert job is not None
    assert job.user == "ada"


def test_unknown_job_is_none(store: PostgresStore) -> None:
    assert store.jobs.get("nope") is None


def test_change_writes_its_audit_row(store: PostgresStore) -> None:
    store.jobs.create(running_job(), AUDIT)
    with store.transaction() as work:
        job = work.jobs.lock("1")
        assert job is not None
        work.jobs.save(replace(job, name="new"), ChangeType.UPDATE, AUDIT)
        work.commit()
    trail = store.audit.of_job("1")
    assert [(e.change_type, e.snapshot.name) for e in trail] == [
        ("upsert", None),
        ("update", "new"),
    ]


def test_uncommitted_work_is_rolled_back(store: PostgresStore) -> None:
    store.jobs.create(running_job(), AUDIT)
    with store.transaction() as work:
        work.jobs.save(running_job(name="lost"), ChangeType.UPDATE, AUDIT)
    job = store.jobs.get("1")
    assert job is not None
    assert job.name is None
    assert len(store.audit.of_job("1")) == 1


def test_error_rolls_transaction_back(store: PostgresStore) -> None:
    store.jobs.create(running_job(), AUDIT)

    def fail_after_saving() -> None:
        with store.transaction() as work:
            work.jobs.save(running_job(name="lost"), ChangeType.UPDATE, AUDIT)
            work.commit()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_saving()
    assert len(store.audit.of_job("1")) == 1


def test_deleted_job_leaves_only_audit_trail(store: PostgresStore, query: Query) -> None:
    store.jobs.create(running_job(), AUDIT)
    query("SELECT ensure_day_partition('metric_samples', '2026-11-02')")
    query(
        "INSERT INTO metric_samples (job_id, timestamp, node, cpu_usage, memory_usage_mb)"
        " VALUES ('1', '2026-11-02T08:00Z', 'n1', 1, 1)"
    )
    assert store.jobs.delete("1", AUDIT)
    assert store.jobs.get("1") is None
    assert query("SELECT count(*) FROM metric_samples") == [(0,)]
    assert query("SELECT count(*) FROM job_nodes") == [(0,)]
    assert [event.change_type for event in store.audit.of_job("1")] == ["upsert", "delete"]
    assert not store.jobs.delete("1", AUDIT)


def test_node_ends_are_stored(store: PostgresStore) -> None:
    store.jobs.create(running_job(nodes=("n1", "n2")), AUDIT)
    end = an_end("n2", 60)
    with store.transaction() as work:
        work.jobs.record_node_end("1", end)
        work.commit()
    assert store.jobs.node_ends("1") == [end]


def an_end(node: str | None, seconds: float, by: Precedence = Precedence.NODE) -> RunEnd:
    how = {"state": JobState.FAILED, "exit_code": 3, "signal": 0}
    return RunEnd(node=node, ended_at=at(seconds), by=by, **how)  # type: ignore[arg-type]


def test_latest_unmatched_end_of_sender_is_kept(
    store: PostgresStore,
) -> None:
    store.jobs.create(running_job(), AUDIT)
    latest = [an_end(None, 241, Precedence.CONTROLLER_HOOK), an_end("n1", 240), an_end("n2", 60)]
    for end in (latest[1], an_end("n1", 60), latest[2], *latest, an_end(None, 300)):
        store.jobs.keep_unmatched("1", end)
    assert store.jobs.unmatched_ends("1") == latest


def test_new_run_removes_earlier_ends(store: PostgresStore, query: Query) -> None:
    store.jobs.create(running_job(), AUDIT)
    store.jobs.keep_unmatched("1", an_end("n1", 60))
    store.jobs.keep_unmatched("1", an_end("n9", 240))
    second_run = replace(running_job(180, restart_count=1), statistics_since=at(180))
    store.jobs.save(second_run, ChangeType.UPDATE, AUDIT)
    store.jobs.recompute(running_job(), second_run, Recompute.RUN)
    assert store.jobs.unmatched_ends("1") == [an_end("n9", 240)]
    store.jobs.delete("1", AUDIT)
    assert query("SELECT count(*) FROM unmatched_ends") == [(0,)]


def test_held_starts_of_job_are_limited(store: PostgresStore) -> None:
    store.jobs.create(running_job(), AUDIT)
    for number in range(MOST_HELD_STARTS + 5):
        sender = None if number == 1 else f"n{number}"
        store.jobs.hold_start("1", running_job(number, name=f"of {number}"), sender)
    store.jobs.hold_start("2", running_job(), "n1")
    names = [job.name for job in store.jobs.unmatched_starts("1")]
    # The controller's own start stays, and the latest ones of nodes.
    assert names == ["of 1", *(f"of {number}" for number in range(6, MOST_HELD_STARTS + 5))]
    store.jobs.hold_start("1", running_job(500, name="later"), "n7")
    names = [job.name for job in store.jobs.unmatched_starts("1")]
    assert (len(names), names[-1]) == (MOST_HELD_STARTS, "later")


def test_second_writer_waits_for_locked_job(store: PostgresStore, database_url: str) -> None:
    store.jobs.create(running_job(), AUDIT)
    released = threading.Event()
    order: list[str] = []

    def hold() -> None:
        with psycopg.connect(database_url) as other:
            other.execute("SELECT 1 FROM jobs WHERE id = '1' FOR UPDATE")
            released.set()
            other.execute("SELECT pg_sleep(0.2)")
            order.append("first writer done")

    holder = threading.Thread(target=hold)
    holder.start()
    assert released.wait(WAIT_SECONDS)
    with store.transaction() as work:
        work.jobs.lock("1")
        order.append("second writer has it")
    holder.join()
    assert order == ["first writer done", "second writer has it"]


def test_nul_character_is_invalid_input(store: PostgresStore) -> None:
    with pytest.raises(InvalidInputError):
        store.jobs.create(running_job(name="a\0b"), AUDIT)


def add(store: PostgresStore, job_id: str, seconds: float = 0, **fields: object) -> None:
    store.jobs.create(running_job(seconds, job_id=job_id, **fields), AUDIT)


def found(store: PostgresStore, **criteria: object) -> list[str]:
    page = store.jobs.page(JobFilter(**criteria), limit=100)  # type: ignore[arg-type]
    assert page.total == len(page.jobs)
    return [job.id for job in page.jobs]


@pytest.mark.parametrize(
    "criteria",
    [
        {"user": "eve"},
        {"node": "n9"},
        {"partition": "gpu"},
        {"account": "bio"},
        {"cluster": "other"},
        {"started_after": at(500)},
        {"search": "tra"},
        {"search": "other.7"},
        {"search": "ev"},
        {"state": JobState.RUNNING, "user": "eve", "node": "n9"},
    ],
)
def test_filter_finds_only_its_jobs(store: PostgresStore, criteria: dict[str, object]) -> None:
    add(store, "1")
    add(
        store,
        "7",
        600,
        user="eve",
        nodes=("n8", "n9"),
        partition="gpu",
        account="bio",
        cluster_name="other",
        name="training",
    )
    assert found(store, **criteria) == ["other.7"]


def test_wildcards_in_search_are_plain_characters(store: PostgresStore) -> None:
    add(store, "1", name="100%_sure")
    add(store, "2", name="100 sure")
    assert found(store, search="100%") == ["1"]
    assert found(store, search="100%_s") == ["1"]
    assert found(store, search="%") == []


def test_pages_join_without_gap_or_overlap(store: PostgresStore) -> None:
    for number in range(7):
        add(store, str(number), seconds=number // 2)
    everything = found(store)
    assert everything == ["6", "5", "4", "3", "2", "1", "0"]
    walked: list[str] = []
    position = None
    while True:
        page = store.jobs.page(JobFilter(), limit=3, after=position)
        walked += [job.id for job in page.jobs]
        position = page.next_position
        if position is None:
            break
    assert walked == everything
    by_offset = store.jobs.page(JobFilter(), limit=3, offset=3)
    assert [job.id for job in by_offset.jobs] == everything[3:6]


def test_page_of_node_keeps_order(store: PostgresStore) -> None:
    for number in range(5):
        add(store, str(number), seconds=number, nodes=("n1", "n2"))
    first = store.jobs.page(JobFilter(node="n2"), limit=2)
    second = store.jobs.page(JobFilter(node="n2"), limit=2, after=first.next_position)
    assert [job.id for job in (*first.jobs, *second.jobs)] == ["4", "3", "2", "1"]


def test_page_beyond_end_has_total(store: PostgresStore) -> None:
    add(store, "1")
    page = store.jobs.page(JobFilter(), limit=10, offset=10)
    assert (page.jobs, page.total, page.next_position) == ((), 1, None)


def test_counters_follow_job_states(store: PostgresStore, query: Query) -> None:
    add(store, "1")
    add(store, "2")
    with store.transaction() as work:
        job = work.jobs.lock("1")
        assert job is not None
        work.jobs.save(replace(job, state=JobState.FAILED), ChangeType.UPDATE, AUDIT)
        work.commit()
    query("SELECT fold_counters()")
    store.jobs.delete("2", AUDIT)
    counts: dict[str, float] = dict(query("SELECT name, value FROM counter_values"))
    assert counts == {"jobs_created": 2, "jobs_in_state:running": 0, "jobs_in_state:failed": 1}
