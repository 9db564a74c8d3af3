"""Mapping GPUs to jobs: which source decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.gpus.mapping import (
    Allocation,
    NodeGpus,
    gpus_of_job,
    used_by_processes,
)
from hpcobs_forwarder.node.gpus.readings import GpuReading
from hpcobs_forwarder.node.gpus.slurm_order import SlurmGpus
from hpcobs_forwarder.node.records import JobRecord
from hpcobs_forwarder.node.tracking import TrackedJob
from tests.forwarder.trees import V1Job, V2Job, process, write

if TYPE_CHECKING:
    from pathlib import Path


def gpu(number: int, *processes: int, utilization: float | None = None) -> GpuReading:
    return GpuReading(
        gpu_id=str(number),
        gpu_vendor="nvidia",
        names=frozenset({f"GPU-{number}{number}{number}{number}-aaaa"}),
        minor=number,
        position=number,
        files=frozenset({f"/dev/nvidia{number}"}),
        utilization_percent=utilization,
        processes=processes,
    )


def render(minor: int, position: int) -> GpuReading:
    return GpuReading(
        gpu_id=str(position),
        gpu_vendor="amd",
        names=frozenset({f"GPU-ffff{position}"}),
        minor=minor,
        position=position,
        files=frozenset({f"/dev/dri/renderD{minor}"}),
    )


def mig(name: str, minor: int, *caps: int) -> GpuReading:
    return GpuReading(
        gpu_id=name,
        gpu_vendor="nvidia",
        names=frozenset({name}),
        minor=minor,
        files=frozenset(f"/dev/nvidia-caps/nvidia-cap{cap}" for cap in caps),
        is_mig=True,
    )


def tracked(root: Path, prolog_record: JobRecord | None = None) -> TrackedJob:
    (layout,) = Discovery(str(root), "n1").layouts()
    job = TrackedJob(layout, layout.folders()[0])
    job.record = prolog_record
    return job


def found(
    root: Path,
    record: JobRecord | None,
    gpus: list[GpuReading],
    *,
    used: tuple[str, ...] = (),
    is_partial: bool = False,
) -> Allocation:
    """Return the GPUs of the one job below ``root``, whose processes use the GPUs ``used``."""
    users = {"job_7": {("nvidia", number) for number in used}}
    slurm = SlurmGpus(str(root), command="")
    return gpus_of_job(NodeGpus(gpus, is_partial), tracked(root, record), users, slurm)


def ids(allocation: Allocation) -> list[str]:
    return [one.gpu_id for one in allocation.gpus]


def gres(root: Path, text: str) -> None:
    write(root / "etc/slurm/gres.conf", text)


GPUS = [gpu(0, 100), gpu(1, 101), gpu(2), gpu(3)]
MIXED_ORDER = [gpu(2)._replace(position=0), gpu(0)._replace(position=1), gpu(1), gpu(3)]


@pytest.mark.parametrize(
    "name",
    ["GPU-2222-aaaa", "gpu-2222-AAAA", "GPU-2222"],
)
def test_uuid_decides_first(tmp_path: Path, name: str) -> None:
    V1Job(tmp_path, "job_7").file("devices", "devices.list", "c 195:1 rwm\n")
    record = JobRecord("7", gpus=("0",), visible_gpus=(name,))

    assert ids(found(tmp_path, record, GPUS, used=("3",))) == ["2"]


@pytest.mark.parametrize("name", ["GPU-9999-aaaa", "GPU-2", "MIG-2222-aaaa"])
def test_unknown_uuid_gives_no_gpu(tmp_path: Path, name: str) -> None:
    V2Job(tmp_path, "job_7")
    record = JobRecord("7", gpus=("0",), visible_gpus=(name,))

    allocation = found(tmp_path, record, GPUS, used=("3",))

    assert allocation.gpus == []
    assert len(allocation.unknown) == 1


def test_ambiguous_prefix_gives_no_gpu(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")
    twins = [gpu(0)._replace(names=frozenset({"GPU-1111-b"})), gpu(1)]
    record = JobRecord("7", gpus=("0",), visible_gpus=("GPU-1111",))

    assert found(tmp_path, record, twins).gpus == []
    assert found(tmp_path, record, [gpu(1)], is_partial=True).gpus == []


def test_mig_and_whole_gpus_are_mixed(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")
    gpus = [mig("MIG-aaaa", 0, 21, 22), mig("MIG-bbbb", 0, 30, 31), gpu(1), gpu(2)]
    gres(
        tmp_path,
        "Name=gpu File=/dev/nvidia[1-2]\n"
        "Name=gpu MultipleFiles=/dev/nvidia0,/dev/nvidia-caps/nvidia-cap[21-22]\n"
        "Name=gpu MultipleFiles=/dev/nvidia0,/dev/nvidia-caps/nvidia-cap[30-31]\n",
    )
    by_both = JobRecord("7", gpus=("0", "3"), visible_gpus=("0", "MIG-bbbb"))
    by_index = JobRecord("7", gpus=("1", "2"), visible_gpus=("1", "2"))

    assert ids(found(tmp_path, by_both, gpus)) == ["MIG-bbbb", "1"]
    assert ids(found(tmp_path, by_index, gpus)) == ["2", "MIG-aaaa"]


def test_device_cgroup_decides_before_processes(tmp_path: Path) -> None:
    V1Job(tmp_path, "job_7").file("devices", "devices.list", "c 195:1 rwm\nc 195:255 rwm\n")

    assert ids(found(tmp_path, None, GPUS, used=("0",))) == ["1"]
    assert ids(found(tmp_path, JobRecord("7", gpus=("0",)), GPUS, used=("0",))) == ["1"]


def test_device_cgroup_leaves_mig_to_processes(tmp_path: Path) -> None:
    V1Job(tmp_path, "job_7").file("devices", "devices.list", "c 195:0 rwm\nc 195:1 rwm\n")
    gpus = [mig("MIG-a", 0), mig("MIG-b", 0), mig("MIG-c", 3), gpu(1), gpu(2)]
    record = JobRecord("7", gpus=("0", "4"))

    used = ("MIG-b", "MIG-c")
    assert ids(found(tmp_path, record, gpus, used=used)) == ["1", "MIG-b"]


def test_open_device_cgroup_is_no_evidence(tmp_path: Path) -> None:
    rules = "".join(f"c 195:{minor} rwm\n" for minor in range(4))
    V1Job(tmp_path, "job_7").file("devices", "devices.list", rules)

    assert ids(found(tmp_path, JobRecord("7", gpus=("2",)), GPUS)) == ["2"]


@pytest.mark.parametrize("kind", [V1Job, V2Job])
def test_processes_decide_without_record_and_device_cgroup(
    tmp_path: Path, kind: type[V1Job | V2Job]
) -> None:
    kind(tmp_path, "job_7")

    assert ids(found(tmp_path, JobRecord("7"), GPUS, used=("0", "2"))) == ["0", "2"]


def test_processes_decide_before_indexes(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")
    record = JobRecord("7", gpus=("0", "1"))

    both = found(tmp_path, record, GPUS, used=("2", "3"))
    one = found(tmp_path, record, GPUS, used=("3",))
    more = found(tmp_path, record, GPUS, used=("0", "2", "3"))

    assert (ids(both), both.unknown) == (["2", "3"], [])
    assert (ids(one), len(one.unknown)) == (["3"], 1)
    assert ids(more) == ["0", "1"]


def test_process_belongs_to_its_cgroups_job(tmp_path: Path) -> None:
    scope = "/system.slice/slurmstepd.scope"
    process(tmp_path, 100, ticks=(0, 0, 0, 0), cgroup=f"{scope}/job_7/step_0/user/task_0")
    process(tmp_path, 101, ticks=(0, 0, 0, 0), cgroup="/user.slice")
    write(tmp_path / "proc/102/cgroup", "9:memory:/slurm/uid_1/job_8\n2:cpu:/\n")

    used = used_by_processes([*GPUS, gpu(4, 102), gpu(5, 999)], str(tmp_path / "proc"))

    assert used == {"job_7": {("nvidia", "0")}, "job_8": {("nvidia", "4")}}
