"""The mock cluster: the same seed gives the same events, and every kind of job appears."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.errors import JobNotFoundError
from hpcobs.domain.events import FinishSource, JobFinished, JobStarted, StartSource
from hpcobs.domain.jobs import GpuVendor
from hpcobs.domain.states import JobState
from hpcobs_local.simulator.cluster.hardware import machines
from hpcobs_local.simulator.cluster.mock_cluster import HookCall, MockCluster
from hpcobs_local.simulator.cluster.readings import Meters, NodeReading
from hpcobs_local.simulator.cluster.workloads import RECIPES
from tests.builders import T0, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs.ports.scheduler import JobSource


def cluster(**settings: Any) -> MockCluster:
    given = {"seed": 1, "nodes": 8, "jobs": 12, "start": T0, **settings}
    return MockCluster(**given)


def advanced(model: MockCluster, seconds: float, step: float = 5.0) -> list[HookCall]:
    """Return all hook calls up to ``seconds`` after the start."""
    calls: list[HookCall] = []
    for number in range(1, int(seconds / step) + 1):
        calls.extend(model.advance(at(number * step)))
    return calls


def test_same_seed_gives_same_events_at_any_step() -> None:
    often, seldom, other = cluster(), cluster(), cluster(seed=2)
    calls = advanced(often, 600, step=1)
    assert calls == advanced(seldom, 600, step=60)
    assert calls != advanced(other, 600)
    assert often.list_jobs() == seldom.list_jobs()


def test_every_kind_of_job_appears_within_minutes() -> None:
    model = cluster()
    raw_states: dict[str, set[str]] = defaultdict(set)
    restarts = 0
    for second in range(0, 900, 5):
        model.advance(at(second))
        for job in model.list_jobs():
            raw_states[job.name or ""].add(job.raw_state)
            restarts = max(restarts, job.restart_count or 0)
    assert set(raw_states) == {recipe.name for recipe in RECIPES}
    seen = set().union(*raw_states.values())
    assert seen >= {"PENDING", "RUNNING", "COMPLETED", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"}
    assert "CANCELLED" in seen
    assert restarts == 1


def test_requested_jobs_run_and_some_wait() -> None:
    model = cluster()
    advanced(model, 60)
    states = Counter(job.state for job in model.list_jobs())
    assert states[JobState.RUNNING] == 12
    assert states[JobState.PENDING] >= 1


@pytest.mark.parametrize(("nodes", "jobs"), [(1, 0), (1, 2), (3, 4), (40, 100)])
def test_small_and_large_clusters_work(nodes: int, jobs: int) -> None:
    model = cluster(nodes=nodes, jobs=jobs)
    advanced(model, 120)
    assert len(model.machines) == nodes
    assert len(model.running()) == jobs


def test_layer_contains_no_mock_cluster() -> None:
    layer = Path(__file__).parents[2] / "layers"
    sources = {path: path.read_text() for path in layer.rglob("*.py")}
    assert len(sources) > 50
    assert not [path for path, text in sources.items() if "MockCluster" in text]
    assert not [path for path, text in sources.items() if "hpcobs_local" in text]
    assert not [path for path in sources if {"mock", "simulator"} & {*path.parts}]


def test_cluster_implements_job_source() -> None:
    source: JobSource = cluster()
    assert len(source.list_nodes()) == 8
    assert source.list_jobs() == []
    with pytest.raises(JobNotFoundError):
        source.get_job("1")


def test_single_job_equals_listed_one_with_samples() -> None:
    model = cluster(jobs=20)
    advanced(model, 60)
    for job in model.list_jobs():
        assert model.get_job(job.job_id) == job
        samples = model.get_job_metrics(job.job_id)
        runs = job.raw_state == "RUNNING"
        assert {sample.node for sample in samples} == (set(job.nodes) if runs else set())
        assert {sample.job_id for sample in samples} <= {job.job_id}


def test_some_nodes_have_gpus_of_each_vendor() -> None:
    vendors = Counter(machine.gpu_vendor for machine in machines(8))
    assert vendors == {GpuVendor.NONE: 5, GpuVendor.NVIDIA: 2, GpuVendor.AMD: 1}


def test_no_resource_is_allocated_twice() -> None:
    model = cluster(jobs=60)
    for second in range(0, 300, 3):
        model.advance(at(second))
        cpus: Counter[str] = Counter()
        devices: Counter[tuple[str, str]] = Counter()
        for job in model.running():
            for placement in job.placed:
                cpus[placement.node] += job.recipe.cpus
                devices.update((placement.node, device) for device in placement.devices)
        assert all(cpus[machine.name] <= machine.cpus for machine in model.machines)
        assert not devices or max(devices.values()) == 1


def test_controller_and_every_node_report_starts() -> None:
    senders: dict[tuple[str, int, str], list[Any]] = defaultdict(list)
    nodes: dict[str, tuple[str, ...]] = {}
    for call in advanced(cluster(), 400):
        kind = "start" if isinstance(call, JobStarted) else "finish"
        senders[call.job_id, call.restart_count or 0, kind].append((call.source, call.node))
        nodes[call.job_id] = call.nodes if kind == "start" else nodes[call.job_id]
    (job_id,) = [key for key, where in nodes.items() if len(where) == 2][:1]
    assert senders[job_id, 0, "start"] == [
        (StartSource.PROLOG_SLURMCTLD, None),
        *((StartSource.PROLOG, node) for node in nodes[job_id]),
    ]
    assert all(calls[0][1] is None for calls in senders.values())


def test_epilogs_report_cancellation_as_success() -> None:
    model = cluster()
    reported: dict[str, JobFinished] = {}
    verdicts: dict[str, str] = {}
    for second in range(0, 900, 5):
        for call in model.advance(at(second)):
            if isinstance(call, JobFinished) and call.source is FinishSource.EPILOG_SLURMCTLD:
                reported[call.job_id] = call
        verdicts.update({job.job_id: job.raw_state for job in model.list_jobs()})
    for job_id, raw_state in verdicts.items():
        if raw_state in ("CANCELLED", "TIMEOUT"):
            assert reported[job_id].final_state is JobState.COMPLETED
        if raw_state in ("OUT_OF_MEMORY", "FAILED"):
            assert reported[job_id].final_state is JobState.FAILED


def test_last_array_task_has_id_of_array() -> None:
    model = cluster()
    advanced(model, 60)
    tasks = [job for job in model.list_jobs() if job.array_job_id is not None]
    by_array: dict[str, dict[str, str]] = defaultdict(dict)
    for job in tasks:
        by_array[job.array_job_id or ""][job.array_task_id or ""] = job.job_id
    (array, ids), *_ = by_array.items()
    assert set(ids) == {"0", "1", "2"}
    assert ids["2"] == array
    assert len(set(ids.values())) == 3


def readings(model: MockCluster, seconds: int) -> Iterator[list[NodeReading]]:
    """Yield the readings of all nodes every five seconds."""
    meters = Meters(model.machines)
    for second in range(0, seconds, 5):
        model.advance(at(second))
        yield meters.read(model.running(), at(second))


def test_readings_are_bounded_and_counters_grow() -> None:
    model = cluster()
    counters: dict[tuple[str, str], float] = {}
    for nodes in readings(model, 300):
        restarted = {job.job_id for job in model.list_jobs() if job.restart_count}
        for reading in nodes:
            assert reading.host.memory_used_mb is not None
            assert reading.host.memory_used_mb <= (reading.host.memory_total_mb or 0)
            for sample in reading.samples:
                assert 0 <= sample.cpu_usage <= 100
                assert sample.gpu_usage is None or 0 <= sample.gpu_usage <= 100
                assert (sample.memory_peak_mb or 0) >= sample.memory_usage_mb
                key = (sample.job_id, sample.node)
                if sample.job_id not in restarted:
                    assert (sample.cpu_seconds_total or 0) >= counters.get(key, 0)
                counters[key] = sample.cpu_seconds_total or 0


def test_patterns_are_recognisable() -> None:
    model = cluster()
    series: dict[str, list[tuple[float, int, float | None]]] = defaultdict(list)
    names: dict[str, str] = {}
    for nodes in readings(model, 400):
        names.update({job.job_id: job.name or "" for job in model.list_jobs()})
        for reading in nodes:
            for sample in reading.samples:
                values = (sample.cpu_usage, sample.memory_usage_mb, sample.gpu_usage)
                series[sample.job_id].append(values)
    kinds = {names[job_id]: values for job_id, values in series.items() if len(values) > 10}
    assert all(cpu > 85 for cpu, _, _ in kinds["climate"])
    assert kinds["assembly"][-1][1] > 3 * kinds["assembly"][0][1]
    assert all(gpu == 0 for _, _, gpu in kinds["notebook"])
    assert max(gpu or 0 for _, _, gpu in kinds["train-vision"]) > 85
    assert all(cpu < 10 for cpu, _, _ in kinds["postprocess"])


def test_gpu_readings_match_allocated_devices() -> None:
    model = cluster()
    for nodes in readings(model, 60):
        given = {
            (str(job.id), placement.node, device)
            for job in model.running()
            for placement in job.placed
            for device in placement.devices
        }
        read = {(gpu.job_id, gpu.node, gpu.gpu_id) for node in nodes for gpu in node.gpus}
        assert read == given


def test_node_state_follows_allocated_cpus() -> None:
    model = cluster(jobs=0)
    model.advance(at(1))
    assert {node.state for node in model.list_nodes()} == {"idle"}
    busy = cluster()
    advanced(busy, 60)
    assert {node.state for node in busy.list_nodes()} >= {"mixed"}
