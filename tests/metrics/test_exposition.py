"""The text of a scrape: complete, valid for Prometheus' parsers, and correct for any name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from hpcobs.exposition.families import FAMILIES
from hpcobs.exposition.text import write
from hpcobs.ports.queue import QueueDepth
from hpcobs.ports.scrape import GROUPS, OperationTotals, Snapshot

FULL = Snapshot(
    job_nodes=[
        ("1", "ada", "n1", None, "12.5", "50", "1048576", None),
        ("2", "eve", "n2", None, "3", *[None] * 3),
    ],
    jobs=[("1", "ada", "physics", "main", "lab", "train", "1", "2097152", "8")],
    gpus=[("1", "n1", None, "nvidia", "0", "97.5", "1024", "250", "61")],
    nodes=[("n1", None, "idle", "1", "50", "1048576", "10", "1", "4096", "8", "0.5", "1790000000")],
    counters={
        "jobs_created": 7,
        "jobs_in_state:running": 2,
        "jobs_in_state:failed": -1,
        "storage_errors:job_get:not_found": 3,
        "collector_samples": 11,
    },
    gauges={"last_collect_timestamp_seconds": 1790000000.5, "collector_lag_seconds": 2},
    operations=[OperationTotals(operation="job_get", observations=[1, 2, 0], seconds=0.25)],
    bucket_bounds=(0.001, 0.01),
    error_types=("not_found", "conflict"),
    queue=QueueDepth(visible=3, in_flight=1, dead=0),
)

EXPECTED = """\
# HELP hpc_job_runtime_seconds Time since the job started.
# TYPE hpc_job_runtime_seconds gauge
hpc_job_runtime_seconds{job_id="1",user="ada",node="n1"} 12.5
hpc_job_runtime_seconds{job_id="2",user="eve",node="n2"} 3
# HELP hpc_job_cpu_usage_percent CPU use in percent of the CPUs allocated on the node.
# TYPE hpc_job_cpu_usage_percent gauge
hpc_job_cpu_usage_percent{job_id="1",user="ada",node="n1"} 50
# HELP hpc_job_memory_usage_bytes Memory in use on the node, without page cache.
# TYPE hpc_job_memory_usage_bytes gauge
hpc_job_memory_usage_bytes{job_id="1",user="ada",node="n1"} 1048576
# HELP hpc_job_info Names of the job, as labels. Always 1.
# TYPE hpc_job_info gauge
hpc_job_info{job_id="1",user="ada",account="physics",partition="main",cluster="lab",name="train"} 1
# HELP hpc_job_memory_limit_bytes Memory allocated to the job, over all its nodes.
# TYPE hpc_job_memory_limit_bytes gauge
hpc_job_memory_limit_bytes{job_id="1",user="ada"} 2097152
# HELP hpc_job_cpus CPUs allocated to the job, over all its nodes.
# TYPE hpc_job_cpus gauge
hpc_job_cpus{job_id="1",user="ada"} 8
# HELP hpc_job_state_total Jobs in each state.
# TYPE hpc_job_state_total gauge
hpc_job_state_total{state="pending"} 0
hpc_job_state_total{state="running"} 2
hpc_job_state_total{state="completed"} 0
hpc_job_state_total{state="failed"} 0
hpc_job_state_total{state="cancelled"} 0
# HELP hpc_jobs_stale Running jobs without a recent report from nodes or scheduler.
# TYPE hpc_jobs_stale gauge
hpc_jobs_stale 0
# HELP hpc_job_total Jobs ever created.
# TYPE hpc_job_total counter
hpc_job_total 7
# HELP hpc_job_gpu_device_utilization_percent Share of time in which the GPU was busy.
# TYPE hpc_job_gpu_device_utilization_percent gauge
hpc_job_gpu_device_utilization_percent{job_id="1",node="n1",gpu_vendor="nvidia",gpu_id="0"} 97.5
# HELP hpc_job_gpu_device_memory_used_bytes GPU memory in use, by all jobs that share it.
# TYPE hpc_job_gpu_device_memory_used_bytes gauge
hpc_job_gpu_device_memory_used_bytes{job_id="1",node="n1",gpu_vendor="nvidia",gpu_id="0"} 1024
# HELP hpc_job_gpu_device_power_watts Power draw of the GPU, by all jobs that share it.
# TYPE hpc_job_gpu_device_power_watts gauge
hpc_job_gpu_device_power_watts{job_id="1",node="n1",gpu_vendor="nvidia",gpu_id="0"} 250
# HELP hpc_job_gpu_device_temperature_celsius Temperature of the GPU.
# TYPE hpc_job_gpu_device_temperature_celsius gauge
hpc_job_gpu_device_temperature_celsius{job_id="1",node="n1",gpu_vendor="nvidia",gpu_id="0"} 61
# HELP hpc_node_cpu_usage_percent Mean CPU use of the jobs running on the node.
# TYPE hpc_node_cpu_usage_percent gauge
hpc_node_cpu_usage_percent{node="n1"} 50
# HELP hpc_node_memory_usage_bytes Memory in use by the jobs running on the node.
# TYPE hpc_node_memory_usage_bytes gauge
hpc_node_memory_usage_bytes{node="n1"} 1048576
# HELP hpc_node_gpu_usage_percent Mean use of the GPUs of the node's jobs, each counted once.
# TYPE hpc_node_gpu_usage_percent gauge
hpc_node_gpu_usage_percent{node="n1"} 10
# HELP hpc_node_job_count Jobs running on the node.
# TYPE hpc_node_job_count gauge
hpc_node_job_count{node="n1"} 1
# HELP hpc_node_total_memory_bytes Total memory of the node.
# TYPE hpc_node_total_memory_bytes gauge
hpc_node_total_memory_bytes{node="n1"} 4096
# HELP hpc_node_total_cpus Number of CPUs of the node.
# TYPE hpc_node_total_cpus gauge
hpc_node_total_cpus{node="n1"} 8
# HELP hpc_node_cpu_load Load average of the node over one minute.
# TYPE hpc_node_cpu_load gauge
hpc_node_cpu_load{node="n1"} 0.5
# HELP hpc_node_last_seen_timestamp_seconds Time of the last batch from the node's forwarder.
# TYPE hpc_node_last_seen_timestamp_seconds gauge
hpc_node_last_seen_timestamp_seconds{node="n1"} 1790000000
# HELP hpc_node_state State of the node, as the scheduler names it. 1 for the current state.
# TYPE hpc_node_state gauge
hpc_node_state{node="n1",state="idle"} 1
# HELP storage_operation_duration_seconds Duration of storage operations, over all functions.
# TYPE storage_operation_duration_seconds histogram
storage_operation_duration_seconds_bucket{operation="job_get",le="0.001"} 1
storage_operation_duration_seconds_bucket{operation="job_get",le="0.01"} 3
storage_operation_duration_seconds_bucket{operation="job_get",le="+Inf"} 3
storage_operation_duration_seconds_sum{operation="job_get"} 0.25
storage_operation_duration_seconds_count{operation="job_get"} 3
# HELP storage_operation_errors_total Failed storage operations, over all functions.
# TYPE storage_operation_errors_total counter
storage_operation_errors_total{operation="job_get",error_type="conflict"} 0
storage_operation_errors_total{operation="job_get",error_type="not_found"} 3
# HELP hpc_exporter_last_collect_timestamp_seconds End of the collector's last run.
# TYPE hpc_exporter_last_collect_timestamp_seconds gauge
hpc_exporter_last_collect_timestamp_seconds 1790000000.5
# HELP hpc_collector_queue_depth Batches on the queue, including those in flight.
# TYPE hpc_collector_queue_depth gauge
hpc_collector_queue_depth 4
# HELP hpc_collector_dead_letters Batches that could not be read, or failed too often.
# TYPE hpc_collector_dead_letters gauge
hpc_collector_dead_letters 0
# HELP hpc_collector_lag_seconds Age of the oldest batch in the collector's last run.
# TYPE hpc_collector_lag_seconds gauge
hpc_collector_lag_seconds 2
# HELP hpc_collector_samples_total Samples stored.
# TYPE hpc_collector_samples_total counter
hpc_collector_samples_total 11
# HELP hpc_collector_duplicates_total Samples that were already stored.
# TYPE hpc_collector_duplicates_total counter
hpc_collector_duplicates_total 0
# HELP hpc_collector_rejected_total Rejected samples.
# TYPE hpc_collector_rejected_total counter
hpc_collector_rejected_total 0
"""


def test_full_snapshot_renders_complete_text() -> None:
    assert write(FULL, openmetrics=False) == EXPECTED


def test_both_formats_parse_to_same_samples() -> None:
    text = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(write(FULL, openmetrics=False))
        for sample in family.samples
    }
    openmetrics = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_openmetrics(write(FULL, openmetrics=True))
        for sample in family.samples
    }
    assert text == openmetrics
    assert len(text) > len(FAMILIES)


def test_openmetrics_has_units_and_bare_counter_names() -> None:
    text = write(FULL, openmetrics=True)
    for lines in (
        "# TYPE hpc_job counter\nhpc_job_total 7\n",
        "# TYPE hpc_job_cpus gauge\nhpc_job_cpus{",
        "# TYPE hpc_job_runtime_seconds gauge\n# UNIT hpc_job_runtime_seconds seconds\n",
        "# UNIT hpc_job_gpu_device_temperature_celsius celsius\n",
    ):
        assert lines in text
    assert text.endswith("\n# EOF\n")
    units = {f.name: f.unit for f in parse_openmetrics(text) if f.unit}
    assert set(units.values()) == {"seconds", "bytes", "percent", "watts", "celsius", "samples"}
    assert all(name.endswith(f"_{unit}") for name, unit in units.items())


def test_no_help_text_needs_escaping() -> None:
    assert not {family.name for family in FAMILIES if set(family.help) & set('\\\n"')}


def test_unrequested_group_is_absent() -> None:
    text = write(Snapshot(groups=frozenset({"jobs"}), job_nodes=FULL.job_nodes), openmetrics=False)
    names = {family.name for family in parse_text(text)}
    assert names <= {f.name for f in FAMILIES if f.group == "jobs"} | {"hpc_job"}


def test_every_family_belongs_to_known_group() -> None:
    assert {family.group for family in FAMILIES} == GROUPS


NAME = st.text(min_size=1, max_size=200)


@given(st.tuples(NAME, NAME, NAME, st.none() | NAME))
def test_any_name_parses_to_itself(labels: tuple[str | None, ...]) -> None:
    labels_sent = tuple(label.replace("\r", "") or "x" for label in labels if label is not None)
    row = (*labels_sent, *[None] * (4 - len(labels_sent)), "1", "2", "3", "4")
    text = write(Snapshot(job_nodes=[row], groups=frozenset({"jobs"})), openmetrics=False)
    family = next(f for f in parse_text(text) if f.name == "hpc_job_runtime_seconds")
    (sample,) = family.samples
    assert tuple(sample.labels.values()) == labels_sent


def test_hostile_name_affects_no_other_series() -> None:
    rows = [
        (str(number), 'a"b' if number == 1500 else "ada", "n1", None, "1") for number in range(3000)
    ]
    padded = [(*row, None, None, None) for row in rows]
    text = write(Snapshot(job_nodes=iter(padded), groups=frozenset({"jobs"})), openmetrics=False)
    (runtime,) = [f for f in parse_text(text) if f.name == "hpc_job_runtime_seconds"]
    found = [(s.labels["job_id"], s.labels["user"], s.labels["node"]) for s in runtime.samples]
    assert found == [row[:3] for row in rows]


def test_nodes_of_two_clusters_have_own_series() -> None:
    counts = [str(number) for number in range(9)]
    nodes = [("n1", None, "idle", *counts), ("n1", "b", "down", *counts)]
    gpus = [("1", "n1", None, "amd", "0", *counts), ("b.1", "n1", "b", "amd", "0", *counts)]
    rows = [("1", "ada", "n1", None, *counts), ("b.1", "eve", "n1", "b", *counts)]
    snapshot = Snapshot(job_nodes=rows, gpus=gpus, nodes=nodes)
    text = write(snapshot, openmetrics=True)
    found = [sample for family in parse_openmetrics(text) for sample in family.samples]
    of_nodes = [sample for sample in found if "node" in sample.labels]
    assert len(of_nodes) == 2 * (4 + 4 + 9)
    assert {sample.labels.get("cluster") for sample in of_nodes} == {None, "b"}
    assert text.count('{node="n1"} ') == text.count('{node="n1",cluster="b"} ') == 8
    assert 'hpc_node_state{node="n1",cluster="b",state="down"} 0' in text
    assert '{job_id="b.1",node="n1",cluster="b",gpu_vendor="amd",gpu_id="0"} ' in text
