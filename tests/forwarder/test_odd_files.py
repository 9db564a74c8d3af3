"""An odd file costs its own value. The sample keeps all others, and none is invented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.cgroups.files import count_ids
from hpcobs_forwarder.node.host import read_parts
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from tests.forwarder.clocks import FakeClock
from tests.forwarder.properties import patient
from tests.forwarder.trees import MIB, V1Job, V2Job, host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.node.sampler import Pass

WHOLE = {
    "job_id": "7",
    "timestamp": "2027-01-15T08:00:10.000Z",
    "cpu_usage": 50.0,
    "memory_usage_mb": 200,
    "memory_peak_mb": 400,
    "oom_kills": 2,
    "cpu_seconds_total": 120.0,
    "cpu_throttled_seconds_total": 1.5,
    "io_read_bytes_total": 100,
    "io_write_bytes_total": 50,
}
ODD = [
    b"",
    b"\n",
    b"-5\n",
    b"\xff\xfe\n",
    b"99999999999999999999999\n",
    b"1_0\n",
    b"+1\n",
    b"x" * 99,
]


def passes(root: Path, health: Health, later: Callable[[], object]) -> Pass:
    """Make two passes with ``later`` in between."""
    clock = FakeClock()
    sources = Sources(str(root), Discovery(str(root), "n1"), Records(str(root / "jobs")), node="n1")
    sampler = Sampler(sources, interval_seconds=10, health=health, clock=clock)
    sampler.take()
    later()
    clock.advance(10)
    return sampler.take()


def v2_job(root: Path) -> V2Job:
    host(root)
    job = V2Job(root, "job_7")
    job.cpu(100)
    job.memory(current_mb=300, inactive_mb=100)
    job.file("memory.peak", f"{400 * MIB}\n")
    job.file("memory.events", "low 0\noom_kill 2\n")
    job.file("io.stat", "8:0 rbytes=60 wbytes=50\n259:0 \n253:1 rbytes=40 dios=0\n")
    return job


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in WHOLE.items() if name not in names}


def v2_samples(root: Path, health: Health, name: str, odd: bytes | None) -> list[dict[str, Any]]:
    """Return the samples of a job of which the file ``name`` is odd, or missing for None."""
    job = v2_job(root)

    def spoil() -> None:
        (job.path / name).unlink(missing_ok=True)
        if odd is not None:
            (job.path / name).write_bytes(odd)

    spoil()

    def later() -> None:
        job.cpu(120, throttled_seconds=1.5)
        spoil()

    return passes(root, health, later).samples


@pytest.mark.parametrize("odd", [None, *ODD])
@pytest.mark.parametrize(
    ("name", "lost"),
    [("memory.peak", ["memory_peak_mb"]), ("cpu.pressure", []), ("memory.max", [])],
)
def test_odd_file_costs_its_own_value(
    tmp_path: Path, health: Health, name: str, lost: list[str], odd: bytes | None
) -> None:
    assert v2_samples(tmp_path, health, name, odd) == [without(*lost)]
    # A file that a kernel lacks is no error.
    assert (health.value("reader_errors_total", "cgroup_v2") > 0) == bool(lost and odd is not None)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("name", "line", "lost"),
    [
        ("memory.events", b"low 0\noom_kill ", ["oom_kills"]),
        ("io.stat", b"8:0 wbytes=50 rbytes=", ["io_read_bytes_total"]),
        ("cpu.stat", b"usage_usec 120000000\nthrottled_usec ", ["cpu_throttled_seconds_total"]),
    ],
)
def test_odd_number_costs_its_own_value(
    tmp_path: Path, health: Health, *, name: str, line: bytes, lost: list[str], odd: bytes
) -> None:
    job = v2_job(tmp_path)

    def later() -> None:
        job.cpu(120, throttled_seconds=1.5)
        (job.path / name).write_bytes(line + odd)

    assert passes(tmp_path, health, later).samples == [without(*lost)]
    assert health.value("reader_errors_total", "cgroup_v2") == 1


@pytest.mark.parametrize("odd", [None, *ODD])
@pytest.mark.parametrize("name", ["memory.current", "cpu.stat"])
def test_sample_without_required_value_is_not_sent(
    tmp_path: Path, health: Health, name: str, odd: bytes | None
) -> None:
    assert v2_samples(tmp_path, health, name, odd) == []
    # The first failure is that of a job that ends in the pass.
    assert health.value("reader_errors_total", "cgroup_v2") == 1


@pytest.mark.parametrize("odd", [odd for odd in ODD if odd.strip()])
def test_damaged_cpu_set_invents_no_allocation(tmp_path: Path, health: Health, odd: bytes) -> None:
    assert v2_samples(tmp_path, health, "cpuset.cpus.effective", odd) == []
    assert health.value("reader_errors_total", "cpus") == 2


@pytest.mark.parametrize(
    ("name", "odd"),
    [("cpuset.cpus.effective", None), ("cpu.max", None), ("cpuset.cpus.effective", b"0-7:2/4\n")],
)
def test_unusual_cpu_limit_keeps_the_sample(
    tmp_path: Path, health: Health, name: str, odd: bytes | None
) -> None:
    (sample,) = v2_samples(tmp_path, health, name, odd)

    # Without a CPU set the job has all 8 CPUs.
    cpus = 8 if (name, odd) == ("cpuset.cpus.effective", None) else 4
    assert sample == {**WHOLE, "cpu_usage": 200 / cpus}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("controller", "name", "lost"),
    [
        ("memory", "memory.max_usage_in_bytes", "memory_peak_mb"),
        ("memory", "memory.oom_control", "oom_kills"),
        ("cpuacct", "cpu.stat", "cpu_throttled_seconds_total"),
    ],
)
def test_odd_file_of_version_1_costs_itself(
    tmp_path: Path, health: Health, *, controller: str, name: str, lost: str, odd: bytes
) -> None:
    host(tmp_path)
    job = V1Job(tmp_path, "job_7")
    job.memory(used_mb=300, inactive_mb=100, peak_mb=400)
    job.file("cpuacct", "cpu.stat", "throttled_time 1500000000\n")
    path = tmp_path / f"sys/fs/cgroup/{controller}/slurm/uid_33/job_7/{name}"

    def later() -> None:
        job.cpu(20)
        prefix = {"memory.oom_control": b"oom_kill ", "cpu.stat": b"throttled_time "}
        path.write_bytes(prefix.get(name, b"") + odd)

    (sample,) = passes(tmp_path, health, later).samples

    assert lost not in sample
    others = {"memory_peak_mb": 400, "oom_kills": 0, "cpu_throttled_seconds_total": 1.5}
    del others[lost]
    assert {**others, "cpu_usage": 50.0, "memory_usage_mb": 200}.items() <= sample.items()
    assert health.value("reader_errors_total", "cgroup_v1") == 1


FILES = ["memory.peak", "memory.events", "io.stat", "memory.max", "cpu.pressure", "cgroup.procs"]


@settings(patient, max_examples=60)
@given(st.dictionaries(st.sampled_from(FILES), st.binary(max_size=60), min_size=1))
def test_any_bytes_keep_the_required_values(
    tmp_path_factory: pytest.TempPathFactory, health: Health, spoiled: dict[str, bytes]
) -> None:
    root = tmp_path_factory.mktemp("node")
    job = v2_job(root)

    def later() -> None:
        job.cpu(120, throttled_seconds=1.5)
        for name, text in spoiled.items():
            (job.path / name).write_bytes(text)

    (sample,) = passes(root, health, later).samples

    needed = ("job_id", "cpu_usage", "memory_usage_mb", "cpu_throttled_seconds_total")
    assert {name: sample[name] for name in needed} == {name: WHOLE[name] for name in needed}
    assert all(0 <= sample[name] < 1 << 63 for name in sample if name.endswith(("_total", "_mb")))


@pytest.mark.parametrize(
    ("text", "count"),
    [("0-7:2/4", 4), ("0-7:1/2,9", 5), ("0-3:4/4", 4), ("0-4:2/4", 3), ("5", 1), ("0-3,2-5", 6)],
)
def test_kernel_list_with_stride_is_counted(text: str, count: int) -> None:
    assert count_ids(text.encode()) == count


@pytest.mark.parametrize("text", ["3-1", "0-", "-1", "a-b", "0-7:2", "0-7:2/0", "0-99999999999"])
def test_wrong_kernel_list_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|list"):
        count_ids(text.encode())


@pytest.mark.parametrize(
    ("path", "text", "lost"),
    [
        ("proc/loadavg", "", {"cpu_load"}),
        ("proc/loadavg", "nan 1 1", {"cpu_load"}),
        ("proc/loadavg", "-1 1 1", {"cpu_load"}),
        ("proc/meminfo", "\n\nMemTotal: 16384000 kB\n", {"memory_used_mb"}),
        ("proc/meminfo", "MemTotal: 1 kB\nMemAvailable: 2048 kB\n", {"memory_used_mb"}),
        ("proc/meminfo", "MemTotal:\n", {"memory_total_mb", "memory_used_mb"}),
        ("sys/devices/system/cpu/online", "\n", {"cpus"}),
    ],
)
def test_odd_file_of_host_costs_itself(
    tmp_path: Path, path: str, text: str, lost: set[str]
) -> None:
    host(tmp_path)
    (tmp_path / path).write_text(text)

    found, errors = read_parts(str(tmp_path))

    assert {"cpus", "memory_total_mb", "memory_used_mb", "cpu_load"} - found.keys() == lost
    assert len(errors) == len(lost)
