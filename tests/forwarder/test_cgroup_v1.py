"""Jobs in the split hierarchies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.cgroups.cgroup_v1 import CgroupV1
from tests.forwarder.trees import MIB, V1Job, only_folder, only_reading, process

if TYPE_CHECKING:
    from pathlib import Path


def layout(root: Path, node: str = "n1") -> CgroupV1:
    found = CgroupV1(str(root / "sys/fs/cgroup"), node, str(root / "proc"))
    found.search()
    return found


def test_job_files_are_read(tmp_path: Path) -> None:
    job = V1Job(tmp_path, "job_7")
    job.cpu(12.5)
    job.memory(used_mb=900, inactive_mb=300, peak_mb=1000)

    reading = only_reading(layout(tmp_path))

    assert reading.cpu_seconds == 12.5
    assert reading.memory_bytes == 600 * MIB
    assert reading.memory_peak_bytes == 1000 * MIB
    assert reading.oom_kills == 0
    assert reading.throttled_seconds is None


def test_throttled_time_needs_cpu_and_cpuacct_together(tmp_path: Path) -> None:
    job = V1Job(tmp_path, "job_7")
    job.file("cpuacct", "cpu.stat", "nr_periods 9\nnr_throttled 1\nthrottled_time 1500000000\n")

    assert only_reading(layout(tmp_path)).throttled_seconds == 1.5


def test_kills_of_steps_and_tasks_are_summed(tmp_path: Path) -> None:
    job = V1Job(tmp_path, "job_7")
    job.kills(0, "step_batch", failcnt=3)
    job.kills(2, "step_batch/task_0")
    job.kills(4, "step_extern")

    assert only_reading(layout(tmp_path)).oom_kills == 2


def test_kills_by_job_limit_are_found_in_steps(tmp_path: Path) -> None:
    job = V1Job(tmp_path, "job_7")
    job.kills(0, failcnt=1)
    job.kills(1, "step_batch/task_0")
    job.kills(1, "step_extern")

    assert only_reading(layout(tmp_path)).oom_kills == 2


def test_kernel_without_kill_counter_gives_none(tmp_path: Path) -> None:
    V1Job(tmp_path, "job_7").file("memory", "memory.oom_control", "oom_kill_disable 0\n")

    assert only_reading(layout(tmp_path)).oom_kills is None


def test_cpu_time_without_cpuacct_comes_from_processes(tmp_path: Path) -> None:
    V1Job(tmp_path, "job_7", cpuacct=False).processes(11, 12, 13)
    process(tmp_path, 11, ticks=(100, 50, 25, 25))
    process(tmp_path, 12, ticks=(300, 0, 0, 0))

    assert only_reading(layout(tmp_path)).cpu_seconds == 5


def test_hidden_processes_are_an_error(tmp_path: Path) -> None:
    V1Job(tmp_path, "job_7", cpuacct=False).processes(11, 12)

    with pytest.raises(OSError, match="hidepid"):
        only_reading(layout(tmp_path))


@pytest.mark.parametrize("top", ["slurm", "slurm_n1", "slurm_other"])
def test_jobs_are_found_in_all_slurm_folders(tmp_path: Path, top: str) -> None:
    V1Job(tmp_path, "job_7", top)

    assert only_folder(layout(tmp_path)).name == "job_7"


def test_other_nodes_folder_is_ignored(tmp_path: Path) -> None:
    V1Job(tmp_path, "job_1", "slurm_n1")
    V1Job(tmp_path, "job_2", "slurm_n2")

    assert only_folder(layout(tmp_path, "n2")).name == "job_2"


def test_vanished_job_raises_oserror(tmp_path: Path) -> None:
    job = V1Job(tmp_path, "job_7")
    reader = layout(tmp_path)
    folder = only_folder(reader)
    job.vanish()

    with pytest.raises(OSError, match="job_7"):
        reader.read(folder)


def test_cpu_limit_is_the_cpu_set(tmp_path: Path) -> None:
    job = V1Job(tmp_path, "job_7")
    reader = layout(tmp_path)

    assert reader.cpu_limit(only_folder(reader)) == 4
    job.file("cpuset", "cpuset.cpus", "\n")
    assert reader.cpu_limit(only_folder(reader)) is None


@pytest.mark.parametrize(
    ("rules", "minors"),
    [
        ("c 1:3 rwm\nc 195:0 rwm\nc 195:3 rw\nc 195:255 rwm\nc 195:254 rwm\nb *:* m\n", {0, 3}),
        ("c 1:3 rwm\nc *:* m\n", set()),
        ("a *:* rwm\n", None),
        ("c 195:* rwm\n", None),
    ],
)
def test_device_cgroup_lists_gpus_unless_all_allowed(
    tmp_path: Path, rules: str, minors: set[int] | None
) -> None:
    V1Job(tmp_path, "job_7").file("devices", "devices.list", rules)
    reader = layout(tmp_path)

    assert reader.gpu_minors(only_folder(reader)) == minors


def test_details_show_anonymous_memory_and_limit(tmp_path: Path) -> None:
    job = V1Job(tmp_path, "job_7")
    job.memory(used_mb=100, inactive_mb=40)
    reader = layout(tmp_path)
    folder = only_folder(reader)

    assert reader.details(folder).anonymous_bytes == 60 * MIB
    assert reader.details(folder).limit_bytes is None
    job.file("memory", "memory.limit_in_bytes", f"{64 * MIB}\n")
    assert reader.details(folder).limit_bytes == 64 * MIB
