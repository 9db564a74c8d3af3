"""The simulated cluster: the same seed gives the same life, and every kind of life comes up."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.errors import JobNotFoundError
from hpcobs.domain.events import FinishSource, JobFinished, JobStarted, StartSource
from hpcobs.domain.jobs import GpuVendor
from hpcobs.domain.states import JobState
from hpcobs.scheduler.mock.cluster import HookCall, MockCluster
from hpcobs.scheduler.mock.hardware import machines
from hpcobs.scheduler.mock.readings import Meters, NodeReading
from hpcobs.scheduler.mock.workloads import RECIPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs.ports.scheduler import JobSource

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def cluster(**settings: Any) -> MockCluster:
    given = {"seed": 1, "nodes": 8, "jobs": 12, "start": T0, **settings}
    return MockCluster(**given)


def lived(model: MockCluster, seconds: float, step: float = 5.0) -> list[HookCall]:
    """All hook calls up to ``seconds`` after the start."""
    calls: list[HookCall] = []
    for number in range(1, int(seconds / step) + 1):
        calls.extend(model.advance(at(number * step)))
    return calls


def test_the_same_seed_gives_the_same_life_however_often_one_looks() -> None:
    often, seldom, other = cluster(), cluster(), cluster(seed=2)
    calls = lived(often, 600, step=1)
    assert calls == lived(seldom, 600, step=60)
    assert calls != lived(other, 600)
    assert often.list_jobs() == seldom.list_jobs()


def test_every_kind_of_life_comes_up_within_minutes() -> None:
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


def test_as_many_jobs_run_as_were_asked_for_and_some_wait() -> None:
    model = cluster()
    lived(model, 60)
    states = Counter(job.state for job in model.list_jobs())
    assert states[JobState.RUNNING] == 12
    assert states[JobState.PENDING] >= 1


@pytest.mark.parametrize(("nodes", "jobs"), [(1, 0), (1, 2), (3, 4), (40, 100)])
def test_small_and_large_clusters_live_too(nodes: int, jobs: int) -> None:
    model = cluster(nodes=nodes, jobs=jobs)
    lived(model, 120)
    assert len(model.machines) == nodes
    assert len(model.running()) == jobs


def test_it_is_a_source_of_jobs_like_a_real_controller() -> None:
    source: JobSource = cluster()
    assert len(source.list_nodes()) == 8
    assert source.list_jobs() == []
    with pytest.raises(JobNotFoundError):
        source.get_job("1")


def test_a_job_is_told_alone_as_among_all_and_measured_on_each_of_its_nodes() -> None:
    model = cluster(jobs=20)
    lived(model, 60)
    for job in model.list_jobs():
        assert model.get_job(job.job_id) == job
        samples = model.get_job_metrics(job.job_id)
        runs = job.raw_state == "RUNNING"
        assert {sample.node for sample in samples} == (set(job.nodes) if runs else set())
        assert {sample.job_id for sample in samples} <= {job.job_id}


def test_some_nodes_have_gpus_of_either_vendor() -> None:
    vendors = Counter(machine.gpu_vendor for machine in machines(8))
    assert vendors == {GpuVendor.NONE: 5, GpuVendor.NVIDIA: 2, GpuVendor.AMD: 1}


def test_nothing_is_given_twice() -> None:
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


def test_each_start_and_end_is_told_by_the_controller_and_by_every_node() -> None:
    senders: dict[tuple[str, int, str], list[Any]] = defaultdict(list)
    nodes: dict[str, tuple[str, ...]] = {}
    for call in lived(cluster(), 400):
        kind = "start" if isinstance(call, JobStarted) else "finish"
        senders[call.job_id, call.restart_count or 0, kind].append((call.source, call.node))
        nodes[call.job_id] = call.nodes if kind == "start" else nodes[call.job_id]
    (job_id,) = [key for key, where in nodes.items() if len(where) == 2][:1]
    assert senders[job_id, 0, "start"] == [
        (StartSource.PROLOG_SLURMCTLD, None),
        *((StartSource.PROLOG, node) for node in nodes[job_id]),
    ]
    assert all(told[0][1] is None for told in senders.values())


def test_epilogs_take_a_cancellation_for_a_success_as_real_ones_do() -> None:
    model = cluster()
    told: dict[str, JobFinished] = {}
    verdicts: dict[str, str] = {}
    for second in range(0, 900, 5):
        for call in model.advance(at(second)):
            if isinstance(call, JobFinished) and call.source is FinishSource.EPILOG_SLURMCTLD:
                told[call.job_id] = call
        verdicts.update({job.job_id: job.raw_state for job in model.list_jobs()})
    for job_id, raw_state in verdicts.items():
        if raw_state in ("CANCELLED", "TIMEOUT"):
            assert told[job_id].final_state is JobState.COMPLETED
        if raw_state in ("OUT_OF_MEMORY", "FAILED"):
            assert told[job_id].final_state is JobState.FAILED


def test_array_tasks_share_an_array_whose_id_the_last_one_has() -> None:
    model = cluster()
    lived(model, 60)
    tasks = [job for job in model.list_jobs() if job.array_job_id is not None]
    by_array: dict[str, dict[str, str]] = defaultdict(dict)
    for job in tasks:
        by_array[job.array_job_id or ""][job.array_task_id or ""] = job.job_id
    (array, ids), *_ = by_array.items()
    assert set(ids) == {"0", "1", "2"}
    assert ids["2"] == array
    assert len(set(ids.values())) == 3


def readings(model: MockCluster, seconds: int) -> Iterator[list[NodeReading]]:
    """What the nodes read every five seconds."""
    meters = Meters(model)
    for second in range(0, seconds, 5):
        model.advance(at(second))
        yield meters.read(at(second))


def test_readings_stay_within_their_bounds_and_counters_only_grow() -> None:
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


def test_patterns_can_be_recognised() -> None:
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


def test_a_gpu_reading_belongs_to_a_device_that_its_job_was_given() -> None:
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


def test_the_controller_tells_of_nodes_by_what_is_given_on_them() -> None:
    model = cluster(jobs=0)
    model.advance(at(1))
    assert {node.state for node in model.list_nodes()} == {"idle"}
    busy = cluster()
    lived(busy, 60)
    assert {node.state for node in busy.list_nodes()} >= {"mixed"}
