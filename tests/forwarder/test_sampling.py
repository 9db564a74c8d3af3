"""One pass after the other: from folders to samples."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from tests.forwarder.properties import patient
from tests.forwarder.trees import MIB, V1Job, V2Job, host

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.health import Health
    from tests.forwarder.clocks import FakeClock


@pytest.fixture
def sampler(tmp_path: Path, health: Health, clock: FakeClock) -> Sampler:
    host(tmp_path)
    sources = Sources(
        str(tmp_path), Discovery(str(tmp_path), "n1"), Records(str(tmp_path / "jobs"))
    )
    return Sampler(sources, interval_seconds=10, health=health, clock=clock)


def record(tmp_path: Path, job_id: str, **fields: Any) -> None:
    (tmp_path / "jobs").mkdir(exist_ok=True)
    (tmp_path / f"jobs/{job_id}.json").write_text(json.dumps({"job_id": job_id, **fields}))


def test_the_second_pass_gives_a_sample_of_the_time_between(
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


def test_the_host_is_told_as_the_contract_spells_it(sampler: Sampler) -> None:
    assert sampler.take().host == {
        "cpus": 8,
        "memory_total_mb": 16_000,
        "memory_used_mb": 4_000,
        "cpu_load": 1.25,
    }


def test_a_short_job_has_a_sample_in_its_first_pass_by_its_prologs_word(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    V2Job(tmp_path, "job_7").cpu(8)
    record(tmp_path, "7", cpus_per_node="4", uptime_seconds=str(clock.up - 4))

    (sample,) = sampler.take().samples

    assert sample["cpu_usage"] == 50.0


def test_a_job_that_has_run_for_long_is_not_averaged_over_its_whole_life(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    V2Job(tmp_path, "job_7").cpu(8)
    record(tmp_path, "7", cpus_per_node="4", uptime_seconds=str(clock.up - 400))

    assert sampler.take().samples == []


def test_without_a_cpu_set_the_prologs_cpus_are_the_allocation(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V2Job(tmp_path, "job_7")
    job.file("cpuset.cpus.effective", "0-7\n")
    record(tmp_path, "7", cpus_per_node="2")
    sampler.take()
    job.cpu(10)
    clock.advance(10)

    assert sampler.take().samples[0]["cpu_usage"] == 50.0


def test_without_any_word_the_hosts_cpus_are_the_allocation(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V2Job(tmp_path, "job_7")
    job.file("cpuset.cpus.effective", "0-7\n")
    sampler.take()
    job.cpu(40)
    clock.advance(10)

    assert sampler.take().samples[0]["cpu_usage"] == 50.0


def test_a_requeued_job_begins_anew(tmp_path: Path, sampler: Sampler, clock: FakeClock) -> None:
    first = V2Job(tmp_path, "job_7")
    first.cpu(5)
    sampler.take()
    kept = first.path.rename(first.path.with_name("kept"))  # so that the inode is another
    V2Job(tmp_path, "job_7").cpu(15)
    clock.advance(10)

    assert kept.exists()
    assert sampler.take().samples == []


def test_a_counter_that_goes_back_costs_one_sample_and_no_more(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V2Job(tmp_path, "job_7")
    counts = []
    for seconds in (50, 10, 20):
        job.cpu(seconds)
        counts.append(len(sampler.take().samples))
        clock.advance(10)

    assert counts == [0, 0, 1]


def test_a_vanishing_job_costs_no_other_job_its_sample_and_is_no_error(
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


def test_a_job_that_stays_unreadable_is_counted_and_said_once(
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


def test_kills_never_become_fewer_when_a_step_ends(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    job = V1Job(tmp_path, "job_7")
    kills = []
    for count in (0, 2, 0):
        job.kills(count, "step_batch", failcnt=count)
        kills += [sample["oom_kills"] for sample in sampler.take().samples]
        clock.advance(10)

    assert kills == [2, 2]


def test_a_wall_clock_that_jumps_changes_the_timestamp_and_no_rate(
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


def test_an_sluid_becomes_a_job_id_by_the_prologs_record(
    tmp_path: Path, sampler: Sampler, clock: FakeClock, health: Health
) -> None:
    V2Job(tmp_path, "s4YDWXGQK8ZT30")
    sampler.take()
    clock.advance(10)
    assert sampler.take().samples == []
    assert health.value("reader_errors_total", "sluid") == 2

    record(tmp_path, "7", sluid="s4YDWXGQK8ZT30")
    clock.advance(10)

    assert [sample["job_id"] for sample in sampler.take().samples] == ["7"]


def test_jobs_that_begin_on_an_idle_node_are_found_at_once(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    sampler.take()
    V2Job(tmp_path, "job_7")
    sampler.take()
    clock.advance(10)

    assert len(sampler.take().samples) == 1


def test_a_thousand_jobs_on_a_node_are_all_sampled(
    tmp_path: Path, sampler: Sampler, clock: FakeClock
) -> None:
    first = V2Job(tmp_path, "job_0").path
    for number in range(1, 1000):
        first.with_name(f"job_{number}").symlink_to(first)
    sampler.take()
    clock.advance(10)

    samples = sampler.take().samples

    assert len({sample["job_id"] for sample in samples}) == 1000


def test_version_1_jobs_are_sampled_beside_an_empty_unified_hierarchy(
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
def test_no_sequence_of_counters_gives_a_sample_out_of_bounds(
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
