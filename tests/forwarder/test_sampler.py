"""The sampler: passes over job folders that give samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from tests.forwarder.properties import patient
from tests.forwarder.trees import MIB, V1Job, V2Job, host, record

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health
    from tests.forwarder.clocks import FakeClock


@pytest.fixture
def sampler(tmp_path: Path, health: Health, clock: FakeClock) -> Sampler:
    host(tmp_path)
    sources = Sources(
        str(tmp_path), Discovery(str(tmp_path), "n1"), Records(str(tmp_path / "jobs"))
    )
    return Sampler(sources, interval_seconds=10, health=health, clock=clock)


def test_second_pass_samples_time_between_passes(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V2Job(tmp_path, "job_7")
    job.cpu(100)
    job.file("memory.peak", f"{400 * MIB}\n")
    assert sampler.take().samples == []
    job.cpu(120, throttled_seconds=1.5)
    job.memory(current_mb=300, inactive_mb=100)
    clock.advance(10)

    assert sampler.take().samples == [
        {
            "job_id": "7",
            "timestamp": "2027-01-15T08:00:10.000Z",
            "cpu_usage": 50.0,
            "memory_usage_mb": 200,
            "memory_peak_mb": 400,
            "oom_kills": 0,
            "cpu_seconds_total": 120.0,
            "cpu_throttled_seconds_total": 1.5,
        }
    ]


def test_host_is_in_contract_fields(sampler: Sampler) -> None:
    assert sampler.take().host == {
        "cpus": 8,
        "memory_total_mb": 16_000,
        "memory_used_mb": 4_000,
        "cpu_load": 1.25,
    }


def test_recorded_start_gives_sample_in_first_pass(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    V2Job(tmp_path, "job_7").cpu(8)
    record(tmp_path / "jobs", "7", cpus_per_node="4", uptime_seconds=str(clock.up - 4))

    (sample,) = sampler.take().samples

    assert sample["cpu_usage"] == 50.0


def test_long_running_job_is_not_averaged_from_start(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    V2Job(tmp_path, "job_7").cpu(8)
    record(tmp_path / "jobs", "7", cpus_per_node="4", uptime_seconds=str(clock.up - 400))

    assert sampler.take().samples == []


def test_prolog_record_gives_allocation_without_cpu_set(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V2Job(tmp_path, "job_7")
    job.file("cpuset.cpus.effective", "0-7\n")
    record(tmp_path / "jobs", "7", cpus_per_node="2")
    sampler.take()
    job.cpu(10)
    clock.advance(10)

    assert sampler.take().samples[0]["cpu_usage"] == 50.0


def test_allocation_defaults_to_host_cpus(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V2Job(tmp_path, "job_7")
    job.file("cpuset.cpus.effective", "0-7\n")
    sampler.take()
    job.cpu(40)
    clock.advance(10)

    assert sampler.take().samples[0]["cpu_usage"] == 50.0


def test_requeued_job_starts_new_counters(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    first = V2Job(tmp_path, "job_7")
    first.cpu(5)
    sampler.take()
    kept = first.path.rename(first.path.with_name("kept"))  # so that the inode is another
    V2Job(tmp_path, "job_7").cpu(15)
    clock.advance(10)

    assert kept.exists()
    assert sampler.take().samples == []


def test_counter_going_back_costs_one_sample(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V2Job(tmp_path, "job_7")
    counts = []
    for seconds in (50, 10, 20):
        job.cpu(seconds)
        counts.append(len(sampler.take().samples))
        clock.advance(10)

    assert counts == [0, 0, 1]


def test_vanishing_job_affects_no_other_job(
    tmp_path: Path, sampler: Sampler, clock: FakeClock, health: Health
) -> None:
    gone, stays = V2Job(tmp_path, "job_1"), V2Job(tmp_path, "job_2")
    sampler.take()
    (gone.path / "memory.current").unlink()
    stays.cpu(4)
    clock.advance(10)

    samples = sampler.take().samples
    gone.vanish()
    sampler.take()

    assert [sample["job_id"] for sample in samples] == ["2"]
    assert health.value("reader_errors_total", "cgroup_v2") == 0


def test_unreadable_job_is_counted_and_logged_once(
    tmp_path: Path,
    sampler: Sampler,
    clock: FakeClock,
    health: Health,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (V2Job(tmp_path, "job_1").path / "memory.current").unlink()

    for _ in range(4):
        sampler.take()
        clock.advance(10)

    assert health.value("reader_errors_total", "cgroup_v2") == 3
    assert caplog.text.count("memory.current") == 1


def test_kill_count_never_falls(tmp_path: Path, sampler: Sampler, clock: FakeClock) -> None:
    job = V1Job(tmp_path, "job_7")
    kills = []
    for count in (0, 2, 0):
        job.kills(count, "step_batch", failcnt=count)
        kills += [sample["oom_kills"] for sample in sampler.take().samples]
        clock.advance(10)

    assert kills == [2, 2]


def test_wall_clock_jump_changes_no_rate(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V2Job(tmp_path, "job_7")
    sampler.take()
    job.cpu(20)
    clock.advance(10)
    clock.now -= 3600

    (sample,) = sampler.take().samples

    assert sample["cpu_usage"] == 50.0
    assert sample["timestamp"] == "2027-01-15T07:00:10.000Z"


def test_sluid_becomes_job_id_by_record(
    tmp_path: Path, sampler: Sampler, clock: FakeClock, health: Health
) -> None:
    V2Job(tmp_path, "s4YDWXGQK8ZT30")
    sampler.take()
    clock.advance(10)
    assert sampler.take().samples == []
    assert health.value("reader_errors_total", "sluid") == 2

    record(tmp_path / "jobs", "7", sluid="s4YDWXGQK8ZT30")
    clock.advance(10)

    assert [sample["job_id"] for sample in sampler.take().samples] == ["7"]


def test_idle_node_finds_new_jobs_at_once(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    sampler.take()
    V2Job(tmp_path, "job_7")
    sampler.take()
    clock.advance(10)

    assert len(sampler.take().samples) == 1


def test_thousand_jobs_are_all_sampled(tmp_path: Path, sampler: Sampler, clock: FakeClock) -> None:
    first = V2Job(tmp_path, "job_0").path
    for number in range(1, 1000):
        first.with_name(f"job_{number}").symlink_to(first)
    sampler.take()
    clock.advance(10)

    samples = sampler.take().samples

    assert len({sample["job_id"] for sample in samples}) == 1000


def test_hybrid_host_samples_version_1_jobs(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    (tmp_path / "sys/fs/cgroup/unified").mkdir(parents=True)
    job = V1Job(tmp_path, "job_7", "slurm_n1")
    sampler.take()
    job.cpu(20)
    clock.advance(10)

    assert sampler.take().samples[0]["cpu_usage"] == 50.0


counters = st.lists(
    st.tuples(st.integers(0, 2**63), st.integers(0, 2**62), st.floats(0, 100)),
    min_size=2,
    max_size=6,
)


@settings(patient, max_examples=40)
@given(counters)
def test_no_counters_give_out_of_bounds_sample(
    tmp_path: Path,
    sampler: Sampler,
    clock: FakeClock,
    sequence: list[tuple[int, int, float]],
) -> None:
    job = V2Job(tmp_path, "job_7")
    for microseconds, size, elapsed in sequence:
        job.file("cpu.stat", f"usage_usec {microseconds}\nthrottled_usec {size}\n")
        job.file("memory.current", f"{size}\n")
        job.file("memory.stat", f"inactive_file {microseconds}\n")
        clock.advance(elapsed)
        for sample in sampler.take().samples:
            assert 0 <= sample["cpu_usage"] <= 100
            assert sample["memory_usage_mb"] >= 0
            assert sample["cpu_seconds_total"] >= 0
