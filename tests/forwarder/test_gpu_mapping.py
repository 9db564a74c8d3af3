"""Mapping GPUs to jobs, and the GPUs in samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.gpus.detection import Gpus
from hpcobs_forwarder.node.gpus.mapping import gpus_of_job, used_by_processes
from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading
from hpcobs_forwarder.node.records import JobRecord, Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from hpcobs_forwarder.node.tracking import TrackedJob
from tests.forwarder.trees import V1Job, V2Job, host, process, record, write

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health
    from tests.forwarder.clocks import FakeClock


def gpu(number: int, *processes: int, utilization: float | None = None) -> GpuReading:
    return GpuReading(
        gpu_id=str(number),
        gpu_vendor="nvidia",
        names=frozenset({str(number), f"GPU-{number}"}),
        minor=number,
        utilization_percent=utilization,
        processes=processes,
    )


def tracked(root: Path, prolog_record: JobRecord | None = None) -> TrackedJob:
    (layout,) = Discovery(str(root), "n1").layouts()
    job = TrackedJob(layout, layout.folders()[0])
    job.record = prolog_record
    return job


def ids(gpus: list[GpuReading]) -> list[str]:
    return [one.gpu_id for one in gpus]


GPUS = [gpu(0, 100), gpu(1, 101), gpu(2)]


def test_prolog_record_decides_first(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")

    by_number = tracked(tmp_path, JobRecord("7", gpus=("1", "2")))
    by_uuid = tracked(tmp_path, JobRecord("7", gpus=("GPU-0",)))

    used = {"job_7": {"0"}}
    assert ids(gpus_of_job(GPUS, by_number, used)) == ["1", "2"]
    assert ids(gpus_of_job(GPUS, by_uuid, used)) == ["0"]


def test_device_cgroup_decides_without_record(tmp_path: Path) -> None:
    V1Job(tmp_path, "job_7").file("devices", "devices.list", "c 195:1 rwm\nc 195:255 rwm\n")

    assert ids(gpus_of_job(GPUS, tracked(tmp_path), {"job_7": {"0"}})) == ["1"]


@pytest.mark.parametrize("kind", [V1Job, V2Job])
def test_processes_decide_without_record_and_device_cgroup(
    tmp_path: Path, kind: type[V1Job | V2Job]
) -> None:
    kind(tmp_path, "job_7")
    job = tracked(tmp_path, JobRecord("7"))

    assert ids(gpus_of_job(GPUS, job, {"job_7": {"0", "2"}})) == ["0", "2"]


def test_process_belongs_to_its_cgroups_job(tmp_path: Path) -> None:
    scope = "/system.slice/slurmstepd.scope"
    process(tmp_path, 100, ticks=(0, 0, 0, 0), cgroup=f"{scope}/job_7/step_0/user/task_0")
    process(tmp_path, 101, ticks=(0, 0, 0, 0), cgroup="/user.slice")
    write(tmp_path / "proc/102/cgroup", "9:memory:/slurm/uid_1/job_8\n2:cpu:/\n")

    used = used_by_processes([*GPUS, gpu(3, 102), gpu(4, 999)], str(tmp_path / "proc"))

    assert used == {"job_7": {"0"}, "job_8": {"3"}}


class FakeReader:
    name = "fake"

    def __init__(self, *readings: GpuReading) -> None:
        self.readings = readings
        self.reads = 0
        self.unread: list[str] = []

    def read(self) -> list[GpuReading]:
        self.reads += 1
        if not self.readings:
            raise GpuError("no driver")
        return list(self.readings)

    def missing(self) -> str | None:
        return None


def sampler(root: Path, reader: FakeReader, health: Health, clock: FakeClock) -> Sampler:
    host(root)
    sources = Sources(str(root), Discovery(str(root), "n1"), Records(str(root / "jobs")), (reader,))
    return Sampler(sources, interval_seconds=10, health=health, clock=clock)


def test_sample_carries_gpus_and_their_mean(
    tmp_path: Path, health: Health, clock: FakeClock
) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "jobs", "7", gpus="0,1,2")
    gpus = FakeReader(gpu(0, utilization=50), gpu(1, utilization=100), gpu(2), gpu(3))
    node = sampler(tmp_path, gpus, health, clock)
    node.take()
    clock.advance(10)

    taken = node.take()

    assert taken.samples[0]["gpu_usage"] == 75
    assert taken.samples[0]["gpus"] == [
        {"gpu_id": "0", "gpu_vendor": "nvidia", "utilization_percent": 50},
        {"gpu_id": "1", "gpu_vendor": "nvidia", "utilization_percent": 100},
        {"gpu_id": "2", "gpu_vendor": "nvidia"},
    ]
    assert taken.host["gpus"] == 4


def test_failing_gpu_library_leaves_cpu_and_memory(
    tmp_path: Path, health: Health, clock: FakeClock
) -> None:
    V2Job(tmp_path, "job_7")
    node = sampler(tmp_path, FakeReader(), health, clock)
    node.take()
    clock.advance(10)

    (sample,) = node.take().samples

    assert "gpus" not in sample
    assert "gpu_usage" not in sample
    assert health.value("reader_errors_total", "fake") == 2


def test_unread_gpu_is_counted(tmp_path: Path, health: Health, clock: FakeClock) -> None:
    gpus = FakeReader(gpu(0))
    gpus.unread = ["GPU 1: lost"]

    sampler(tmp_path, gpus, health, clock).take()

    assert health.value("reader_errors_total", "fake") == 1


def test_idle_node_reads_gpus_once(tmp_path: Path, health: Health, clock: FakeClock) -> None:
    gpus = FakeReader(gpu(0))
    node = sampler(tmp_path, gpus, health, clock)

    for _ in range(3):
        node.take()

    assert gpus.reads == 1


@pytest.mark.parametrize(
    ("wanted", "device", "found"),
    [
        ("auto", "nvidiactl", ["nvidia"]),
        ("auto", "kfd", ["amd"]),
        ("auto", "null", []),
        ("none", "nvidiactl", []),
        ("nvidia", "null", ["nvidia"]),
    ],
)
def test_vendors_are_found_by_device_files(
    tmp_path: Path, wanted: str, device: str, found: list[str]
) -> None:
    write(tmp_path / "dev" / device, "")

    assert [reader.name for reader in Gpus(wanted, str(tmp_path))] == found


def test_driver_loaded_later_is_noticed(tmp_path: Path) -> None:
    gpus = Gpus("auto", str(tmp_path))
    assert list(gpus) == []
    write(tmp_path / "dev/nvidiactl", "")

    (first,) = gpus
    (second,) = gpus

    assert first is second
