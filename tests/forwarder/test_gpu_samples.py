"""The GPUs in samples, and the readers that a node has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.gpus.detection import Gpus
from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading
from hpcobs_forwarder.node.gpus.rocm_smi import RocmSmi
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from tests.forwarder.test_gpu_mapping import gpu
from tests.forwarder.trees import V2Job, host, record, write

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.node.gpus.readings import GpuReader
    from tests.forwarder.clocks import FakeClock


class FakeReader:
    name = "fake"

    def __init__(self, *readings: GpuReading) -> None:
        self.readings = readings
        self.reads = 0
        self.unread: list[str] = []
        self.is_partial = False

    def read(self) -> list[GpuReading]:
        self.reads += 1
        if not self.readings:
            raise GpuError("no driver")
        return list(self.readings)

    def missing(self) -> str | None:
        return None


def sampler(root: Path, reader: GpuReader, health: Health, clock: FakeClock) -> Sampler:
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


def test_gpu_of_several_jobs_is_marked_as_shared(
    tmp_path: Path, health: Health, clock: FakeClock
) -> None:
    for job_id, gpus in (("7", "0,1"), ("8", "1"), ("9", "2")):
        V2Job(tmp_path, f"job_{job_id}")
        record(tmp_path / "jobs", job_id, gpus=gpus)
    node = sampler(tmp_path, FakeReader(*(gpu(n, utilization=n) for n in range(4))), health, clock)
    node.take()
    clock.advance(10)

    samples = {sample["job_id"]: sample for sample in node.take().samples}

    shared = {job: [one.get("shared") for one in samples[job]["gpus"]] for job in samples}
    assert shared == {"7": [None, True], "8": [True], "9": [None]}
    assert samples["8"]["gpu_usage"] == 1


def test_gpu_that_is_not_found_is_counted(tmp_path: Path, health: Health, clock: FakeClock) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "jobs", "7", gpus="0,1", visible_gpus="GPU-1111-aaaa,GPU-none")
    node = sampler(tmp_path, FakeReader(gpu(0), gpu(1)), health, clock)
    node.take()
    clock.advance(10)

    (sample,) = node.take().samples

    assert [one["gpu_id"] for one in sample["gpus"]] == ["1"]
    assert health.value("reader_errors_total", "gpu_of_job") == 2  # one in each pass


def test_gpu_job_is_counted_if_library_lists_none(
    tmp_path: Path, health: Health, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "jobs", "7", gpus="0,1")
    reader = FakeReader()
    monkeypatch.setattr(reader, "read", list)

    sampler(tmp_path, reader, health, clock).take()

    assert health.value("reader_errors_total", "gpu_of_job") == 2


def rocm_smi(root: Path) -> RocmSmi:
    command = root / "rocm-smi"
    command.write_text('#!/bin/sh\necho \'{"card0": {"GPU use (%)": "80"}}\'\n')
    command.chmod(0o755)
    return RocmSmi(str(command), root=str(root))


def test_first_sample_has_gpus_of_rocm_smi(
    tmp_path: Path, health: Health, clock: FakeClock
) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "jobs", "7", gpus="0")
    node = sampler(tmp_path, rocm_smi(tmp_path), health, clock)
    passes = []
    for _ in range(8):
        passes += node.take().samples
        clock.advance(10)

    usage = [sample.get("gpu_usage") for sample in passes]

    assert usage == [80, None, None, None, None, 80, None]
    assert health.value("reader_errors_total", "gpu_of_job") == 0


def test_old_reading_of_rocm_smi_is_not_sent(
    tmp_path: Path, health: Health, clock: FakeClock
) -> None:
    node = sampler(tmp_path, rocm_smi(tmp_path), health, clock)
    node.take()
    node.take()
    V2Job(tmp_path, "job_7")
    node.take()
    clock.advance(10)

    (sample,) = node.take().samples

    assert "gpus" not in sample


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
