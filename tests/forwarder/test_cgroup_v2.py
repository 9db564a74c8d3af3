"""Jobs in the unified hierarchy."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.cgroups import files
from hpcobs_forwarder.node.cgroups.cgroup_v2 import CgroupV2
from tests.forwarder.trees import MIB, V2Job, only_folder, only_reading

if TYPE_CHECKING:
    from pathlib import Path


def layout(root: Path, node: str = "n1") -> CgroupV2:
    found = CgroupV2(str(root / "sys/fs/cgroup"), node)
    found.search()
    return found


def test_job_files_are_read(tmp_path: Path) -> None:
    job = V2Job(tmp_path, "job_7")
    job.cpu(12.5, throttled_seconds=0.25)
    job.memory(current_mb=900, inactive_mb=300)
    job.file("memory.peak", f"{1000 * MIB}\n")
    job.file("memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 1\n")
    job.file("io.stat", "8:0 rbytes=100 wbytes=7 rios=1 wios=1\n253:0 rbytes=11 wbytes=1 dios=0\n")

    reading = only_reading(layout(tmp_path))

    assert reading.cpu_seconds == 12.5
    assert reading.throttled_seconds == 0.25
    assert reading.memory_bytes == 600 * MIB
    assert reading.memory_peak_bytes == 1000 * MIB
    assert reading.oom_kills == 2
    assert (reading.io_read_bytes, reading.io_write_bytes) == (111, 8)


def test_files_missing_in_older_kernels_give_none(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")

    reading = only_reading(layout(tmp_path))

    assert reading.memory_peak_bytes is None
    assert reading.io_read_bytes is None


def test_vanished_job_hides_no_file_of_others(tmp_path: Path) -> None:
    gone, stays = V2Job(tmp_path, "job_1"), V2Job(tmp_path, "job_2")
    stays.file("memory.peak", f"{5 * MIB}\n")
    reader = layout(tmp_path)
    first, second = sorted(reader.folders())
    gone.vanish()

    with pytest.raises(OSError, match="job_1"):
        reader.read(first)
    assert reader.read(second).memory_peak_bytes == 5 * MIB


@pytest.mark.parametrize("missing", ["memory.current", "memory.stat", "cpu.stat"])
def test_job_without_memory_or_cpu_raises_oserror(tmp_path: Path, missing: str) -> None:
    job = V2Job(tmp_path, "job_7")
    (job.path / missing).unlink()

    with pytest.raises(OSError, match=missing):
        only_reading(layout(tmp_path))


def test_malformed_file_raises_valueerror(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7").file("memory.current", "much\n")

    with pytest.raises(ValueError, match="much"):
        only_reading(layout(tmp_path))


@pytest.mark.parametrize(
    ("cpus", "quota", "limit"),
    [
        ("0-3,8\n", "max 100000\n", 5),
        ("0-7\n", "250000 100000\n", 2.5),
        ("0-1\n", "800000 100000\n", 2),
        ("\n", "max 100000\n", None),
    ],
)
def test_cpu_limit_is_smaller_of_set_and_quota(
    tmp_path: Path, cpus: str, quota: str, limit: float | None
) -> None:
    job = V2Job(tmp_path, "job_7")
    job.file("cpuset.cpus.effective", cpus)
    job.file("cpu.max", quota)
    reader = layout(tmp_path)

    assert reader.cpu_limit(only_folder(reader)) == limit


@pytest.mark.parametrize(
    "scope", ["slurmstepd.scope", "n1_slurmstepd.scope", "other_slurmstepd.scope"]
)
def test_jobs_are_found_in_all_slurm_scopes(tmp_path: Path, scope: str) -> None:
    V2Job(tmp_path, "job_7", scope)

    assert only_folder(layout(tmp_path)).name == "job_7"


def test_other_nodes_scope_is_ignored(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_1", "n1_slurmstepd.scope")
    V2Job(tmp_path, "job_2", "n2_slurmstepd.scope")

    assert only_folder(layout(tmp_path, "n2")).name == "job_2"


def test_sluid_folder_is_a_job(tmp_path: Path) -> None:
    V2Job(tmp_path, "s4YDWXGQK8ZT30")

    assert only_folder(layout(tmp_path)).name == "s4YDWXGQK8ZT30"


def test_kernel_without_psi_gives_other_details(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    V2Job(tmp_path, "job_7").memory(current_mb=100, anon_mb=60)
    reader = layout(tmp_path)
    as_it_is = files.read

    def read(path: str) -> bytes:
        if path.endswith(".pressure"):
            raise OSError(errno.EOPNOTSUPP, "Operation not supported", path)
        return as_it_is(path)

    monkeypatch.setattr(files, "read", read)
    details = reader.details(only_folder(reader))

    assert details.anonymous_bytes == 60 * MIB
    assert details.cpu_pressure_percent is None


def test_processes_of_all_steps_are_found(tmp_path: Path) -> None:
    job = V2Job(tmp_path, "job_7")
    job.processes(11, 12)
    job.file("step_batch/slurm/cgroup.procs", "10\n")
    reader = layout(tmp_path)

    assert sorted(reader.processes(only_folder(reader))) == [10, 11, 12]


def test_details_show_memory_limit_and_pressure(tmp_path: Path) -> None:
    job = V2Job(tmp_path, "job_7")
    job.memory(current_mb=100, inactive_mb=30, anon_mb=60)
    job.file("memory.max", f"{200 * MIB}\n")
    job.file(
        "memory.pressure",
        "some avg10=0.00 avg60=1.50 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.10 total=1\n",
    )
    reader = layout(tmp_path)

    details = reader.details(only_folder(reader))

    assert details.anonymous_bytes == 60 * MIB
    assert details.file_bytes == 30 * MIB
    assert details.limit_bytes == 200 * MIB
    assert details.memory_pressure_percent == 1.5
    assert details.cpu_pressure_percent is None
