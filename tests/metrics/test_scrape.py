"""A scrape shows the database's running jobs, all from one moment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.jobs import Resources
from hpcobs.exposition.text import write
from hpcobs.ports.scrape import GROUPS, Shard
from hpcobs.service.job_events import JobEvents
from hpcobs.service.scrape import Scrape, shard_of
from hpcobs.storage.scrape import PostgresScrape
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, ORIGIN, finished, started
from tests.metrics.reading import KnownQueue, one, series

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.storage.connections import SingleConnection
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query


def test_empty_site_has_states_without_jobs(scrape: Scrape) -> None:
    found = series(scrape.render())
    states = [labels for name, labels in found if name == "hpc_job_state_total"]
    assert len(states) == 5
    assert not [name for name, _ in found if name == "hpc_job_runtime_seconds"]
    assert found[one("hpc_job_total")] == 0
    assert found[one("hpc_collector_queue_depth")] == 5


def test_held_data_have_series_by_reason(scrape: Scrape, query: Query) -> None:
    name = "hpc_retention_held_seconds"
    assert not [found for found, _ in series(scrape.render()) if found == name]
    query("INSERT INTO retention_held VALUES ('gpu_samples', 'pace', 2.5), ('gpu_samples', 'x', 0)")
    found = series(scrape.render())
    assert found[one(name, table="gpu_samples", reason="pace")] == 2.5 * 86_400
    assert found[one(name, table="gpu_samples", reason="x")] == 0


def test_only_running_jobs_have_series(scrape: Scrape, store: PostgresStore) -> None:
    events = JobEvents(store, ORIGIN)
    resources = Resources(allocated_cpus=8, allocated_memory_mb=1024)
    nodes = ("n1", "n2")
    events.job_started(started(job_id="1", nodes=nodes, resources=resources, name="train"), AUDIT)
    events.job_started(started(job_id="2"), AUDIT)
    events.job_finished(finished(job_id="2"), AUDIT)
    found = series(scrape.render())
    running = [dict(labels) for name, labels in found if name == "hpc_job_runtime_seconds"]
    assert running == [{"job_id": "1", "node": node, "user": "ada"} for node in nodes]
    assert found[one("hpc_job_cpus", job_id="1", user="ada")] == 8
    assert found[one("hpc_job_memory_limit_bytes", job_id="1", user="ada")] == 1024 * 1024**2
    assert found[one("hpc_job_state_total", state="running")] == 1
    assert found[one("hpc_job_state_total", state="completed")] == 1
    assert found[one("hpc_job_total")] == 2
    assert not [name for name, _ in found if name == "hpc_job_cpu_usage_percent"]


def test_running_jobs_without_reports_are_stale(
    connect: Callable[[], SingleConnection], store: PostgresStore, query: Query
) -> None:
    events = JobEvents(store, ORIGIN)
    for number in range(4):
        events.job_started(started(job_id=str(number)), AUDIT)
    query("UPDATE jobs SET start_time = now() - interval '21 minutes'")
    query("UPDATE jobs SET last_sample_at = now() - interval '19 minutes' WHERE id = '1'")
    query("UPDATE jobs SET scheduler_seen_at = now() - interval '19 minutes' WHERE id = '2'")
    events.job_finished(finished(job_id="3"), AUDIT)
    source = PostgresScrape(
        connect(), OperationTimings(), home_cluster="lab", stale_after=timedelta(minutes=20)
    )
    found = series(Scrape(source, KnownQueue(None), write).render())  # type: ignore[arg-type]
    assert found[one("hpc_jobs_stale")] == 1


def test_nodes_sum_latest_samples_of_jobs(
    scrape: Scrape, store: PostgresStore, query: Query
) -> None:
    events = JobEvents(store, ORIGIN)
    events.job_started(started(job_id="1"), AUDIT)
    events.job_started(started(job_id="2"), AUDIT)
    query("UPDATE job_nodes SET cpu_usage = 40, memory_usage_mb = 10 WHERE job_id = '1'")
    query("UPDATE job_nodes SET cpu_usage = 60, memory_usage_mb = 20 WHERE job_id = '2'")
    query("INSERT INTO nodes VALUES ('n1', 'lab', 'mixed', 4), ('n9', 'lab', 'down', 8)")
    found = series(scrape.render())
    job = {"job_id": "2", "user": "ada", "node": "n1"}
    assert found[one("hpc_job_memory_usage_bytes", **job)] == 20 * 1024**2
    assert found[one("hpc_node_cpu_usage_percent", node="n1")] == 50
    assert found[one("hpc_node_memory_usage_bytes", node="n1")] == 30 * 1024**2
    assert found[one("hpc_node_job_count", node="n1")] == 2
    assert found[one("hpc_node_job_count", node="n9")] == 0
    assert found[one("hpc_node_state", node="n9", state="down")] == 1


def test_storage_operations_of_functions_are_summed(scrape: Scrape, query: Query) -> None:
    for _ in range(2):
        query("INSERT INTO operation_timing_deltas VALUES ('job_get', %s, 0.5)", [1, 2] + [0] * 12)
    query("SELECT fold_operation_timings()")
    query("INSERT INTO operation_timing_deltas VALUES ('job_get', %s, 1)", [0] * 13 + [1])
    found = series(scrape.render(collect=frozenset({"service"})))
    name = "storage_operation_duration_seconds"
    assert found[one(f"{name}_count", operation="job_get")] == 7
    assert found[one(f"{name}_sum", operation="job_get")] == 2
    assert found[one(f"{name}_bucket", operation="job_get", le="0.001")] == 2
    assert found[one(f"{name}_bucket", operation="job_get", le="10.0")] == 6


def test_only_requested_groups_are_rendered(scrape: Scrape) -> None:
    names = {name for name, _ in series(scrape.render(collect=frozenset({"service"})))}
    assert "hpc_collector_queue_depth" in names
    assert not {name for name in names if name.startswith(("hpc_job", "hpc_node"))}


def test_unknown_group_is_rejected_by_name(scrape: Scrape) -> None:
    with pytest.raises(InvalidInputError, match=r"collect.*'disks'"):
        scrape.render(collect=frozenset({"disks"}))


def test_all_rows_are_from_one_moment(
    connect: Callable[[], SingleConnection], store: PostgresStore
) -> None:
    source = PostgresScrape(connect(), OperationTimings(), home_cluster="lab")
    with source.snapshot(GROUPS) as snapshot:
        JobEvents(store, ORIGIN).job_started(started(), AUDIT)
        text = write(snapshot, openmetrics=False)
    assert "hpc_job_runtime_seconds" not in text
    assert "hpc_job_total 0" in text
    with source.snapshot(GROUPS) as snapshot:
        assert "hpc_job_total 1" in write(snapshot, openmetrics=False)


def test_ended_node_has_no_job_series(scrape: Scrape, store: PostgresStore, query: Query) -> None:
    events = JobEvents(store, ORIGIN)
    events.job_started(started(nodes=("n1", "n2")), AUDIT)
    query(
        "INSERT INTO job_gpus (job_id, node, gpu_id, gpu_vendor, sampled_at, utilization_percent)"
        " SELECT '1', node, '0', 'amd', now(), 5 FROM unnest(ARRAY['n1', 'n2']) AS node"
    )
    events.job_finished(finished(node="n1"), AUDIT)
    found = series(scrape.render(collect=frozenset({"jobs", "gpus"})))
    of_nodes = {dict(labels)["node"] for _, labels in found if "node" in dict(labels)}
    assert of_nodes == {"n2"}
    assert found[one("hpc_job_state_total", state="running")] == 1


def test_unread_gpu_of_reporting_node_has_no_series(
    scrape: Scrape, store: PostgresStore, query: Query
) -> None:
    JobEvents(store, ORIGIN).job_started(started(), AUDIT)
    query(
        "INSERT INTO job_gpus (job_id, node, gpu_id, gpu_vendor, sampled_at, utilization_percent)"
        " VALUES ('1', 'n1', '0', 'amd', now() - interval '11 minutes', 0),"
        " ('1', 'n1', '1', 'amd', now() - interval '9 minutes', 50)"
    )
    for sampled_at, expected in (("NULL", ["0", "1"]), ("now() - interval '1 hour'", ["0", "1"])):
        query(f"UPDATE job_nodes SET last_sample_at = {sampled_at}")
        assert gpus_shown(scrape) == expected
    query("UPDATE job_nodes SET last_sample_at = now()")
    assert gpus_shown(scrape) == ["1"]


def gpus_shown(scrape: Scrape) -> list[str]:
    found = series(scrape.render(collect=frozenset({"gpus"})))
    return [dict(labels)["gpu_id"] for _, labels in found]


def test_gpus_are_those_of_running_jobs(scrape: Scrape, store: PostgresStore, query: Query) -> None:
    events = JobEvents(store, ORIGIN)
    events.job_started(started(job_id="1"), AUDIT)
    query(
        "INSERT INTO job_gpus VALUES ('1', 'n1', '0', 'amd', now(), 97.5, 3, 80, NULL, 61),"
        " ('gone', 'n1', '1', 'amd', now(), 1, 1, 1, 1, 1)"
    )
    gpu = {"job_id": "1", "node": "n1", "gpu_vendor": "amd", "gpu_id": "0"}
    assert series(scrape.render(collect=frozenset({"gpus"}))) == {
        one("hpc_job_gpu_device_utilization_percent", **gpu): 97.5,
        one("hpc_job_gpu_device_memory_used_bytes", **gpu): 3 * 1024**2,
        one("hpc_job_gpu_device_temperature_celsius", **gpu): 61,
    }
    events.job_finished(finished(job_id="1"), AUDIT)
    assert series(scrape.render(collect=frozenset({"gpus"}))) == {}


def test_job_of_thousands_of_nodes_renders_all(scrape: Scrape, store: PostgresStore) -> None:
    nodes = tuple(f"n{number:04}" for number in range(2500))
    JobEvents(store, ORIGIN).job_started(started(nodes=nodes), AUDIT)
    text = scrape.render()
    lines = [line for line in text.splitlines() if line.startswith("hpc_job_runtime_seconds")]
    assert [line.split('node="')[1].split('"')[0] for line in lines] == list(nodes)


def test_series_are_sorted_by_labels(scrape: Scrape, store: PostgresStore, query: Query) -> None:
    for job_id in ("9", "10", "2"):
        events = JobEvents(store, ORIGIN)
        events.job_started(started(job_id=job_id, nodes=("n2", "n1")), AUDIT)
    query(
        "INSERT INTO job_gpus (job_id, node, gpu_id, gpu_vendor, sampled_at, utilization_percent)"
        " SELECT job_id, node, gpu, 'amd', now(), 5 FROM job_nodes, unnest(ARRAY['1', '0']) AS gpu"
        " ORDER BY job_id DESC"
    )
    for family in ("hpc_job_runtime_seconds", "hpc_job_info", "hpc_node_job_count"):
        lines = [line for line in scrape.render().splitlines() if line.startswith(f"{family}{{")]
        assert len(lines) > 1
        assert lines == sorted(lines)
    gpus = [line for line in scrape.render().splitlines() if "gpu_device_utilization" in line][2:]
    assert len(gpus) == 12
    assert gpus == sorted(gpus)


def test_hostile_names_are_rendered_unchanged(scrape: Scrape, store: PostgresStore) -> None:
    name = 'quote " backslash \\ newline \n brace } unicode é ' + "x" * 150
    event = started(user=name, name=name, account=name, nodes=("n1", "n2"))
    JobEvents(store, ORIGIN).job_started(event, AUDIT)
    found = [
        dict(labels)
        for series_name, labels in series(scrape.render())
        if series_name == "hpc_job_info"
    ]
    assert [(info["user"], info["name"], info["account"]) for info in found] == [(name,) * 3]
    families = parse_openmetrics(scrape.render(openmetrics=True))
    (runtime,) = [family for family in families if family.name == "hpc_job_runtime_seconds"]
    assert {sample.labels["user"] for sample in runtime.samples} == {name}


def test_shards_partition_all_series(scrape: Scrape, store: PostgresStore) -> None:
    events = JobEvents(store, ORIGIN)
    for number in range(40):
        event = started(job_id=str(number), nodes=(f"n{number}", f"n{number + 1}"))
        events.job_started(event, AUDIT)
    shards = [series(scrape.render(shard=Shard(index, 3))) for index in range(3)]
    together = [key for shard in shards for key in shard]
    assert len(together) == len(set(together))
    assert set(together) == set(series(scrape.render()))
    jobs = [len([key for key in shard if key[0] == "hpc_job_info"]) for shard in shards]
    assert sum(jobs) == 40
    assert min(jobs) > 3


@pytest.mark.parametrize("text", ["", "1", "4/4", "-1/4", "0/0", "0/1001", "a/b", "0/4/1", "٠/٤"])
def test_impossible_shard_is_rejected(text: str) -> None:
    with pytest.raises(InvalidInputError, match="shard"):
        shard_of(text)
