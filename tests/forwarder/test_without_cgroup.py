"""A job's node without a cgroup: held and unused is a reading, and nothing else is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.node.gpus.readings import GpuReading
from hpcobs_forwarder.node.without_cgroup import conf_of
from tests.forwarder.daemon import Node
from tests.forwarder.held import SLUID, Held, is_idle
from tests.forwarder.trees import V1Job, V2Job, record, write

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health
    from tests.forwarder.fake_site import Site


@pytest.fixture
def node(tmp_path: Path, health: Health) -> Held:
    return Held(tmp_path, health)


def test_held_node_is_a_reading_of_no_use(node: Held) -> None:
    node.prolog()

    assert node.take() == [
        {
            "job_id": "7",
            "timestamp": "2027-01-15T08:00:00.000Z",
            "cpu_usage": 0.0,
            "memory_usage_mb": 0,
        }
    ]
    assert [job.job_id for job in node.sampler.jobs()] == ["7"]


class Gpus:
    """A library with two GPUs."""

    name = "nvidia"
    unread: tuple[str, ...] = ()
    is_partial = False

    def read(self) -> list[GpuReading]:
        return [
            GpuReading(number, "nvidia", frozenset({f"GPU-{number}"}), utilization_percent=use)
            for number, use in (("0", 97.0), ("1", 3.0))
        ]


def test_held_gpus_are_read(node: Held) -> None:
    node.readers = (Gpus(),)
    node.restart()
    node.prolog(gpus="GPU-1")

    (sample,) = node.take()

    assert (sample["gpu_usage"], [gpu["gpu_id"] for gpu in sample["gpus"]]) == (3.0, ["1"])


def test_version_1_holds_too(tmp_path: Path, health: Health) -> None:
    node = Held(tmp_path, health, has_cgroups=False)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").unlink()
    V1Job(tmp_path, "job_1")
    node.prolog()

    assert [sample["job_id"] for sample in node.take()] == ["7"]


@pytest.mark.parametrize(
    ("record_fields", "ago"),
    [
        ({}, 299),  # the site's own Prolog may still run, and its cgroup may come
        ({"boot_id": "another"}, 400),
        ({"boot_id": None}, 400),
        ({}, -5),  # of a clock that is not this boot's
        ({"uptime_seconds": "nan"}, 400),
        ({"uptime_seconds": None}, 400),
    ],
)
def test_uncertain_record_is_no_reading(
    node: Held, record_fields: dict[str, Any], ago: float
) -> None:
    node.prolog(ago=ago, **record_fields)

    assert node.take() == []


def test_record_without_start_waits_from_its_notice(node: Held) -> None:
    node.prolog(uptime_seconds=None)

    assert [len(node.take(after=100)) for _ in range(5)] == [0, 0, 0, 0, 1]


def test_no_folder_of_slurm_is_no_reading(tmp_path: Path, health: Health) -> None:
    node = Held(tmp_path, health, has_cgroups=False)
    node.prolog()

    assert node.take() == []


@pytest.mark.parametrize(
    ("lines", "makes"),
    [
        ("", True),
        ("ProctrackType=proctrack/cgroup", True),
        ("TaskPlugin=task/affinity", True),
        ("ProctrackType=proctrack/linuxproc\nTaskPlugin=task/affinity,task/cgroup", True),
        ("ProctrackType=proctrack/linuxproc\nJobAcctGatherType=jobacct_gather/cgroup", True),
        ("ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none", False),
        ("proctracktype=proctrack/pgid", False),
    ],
)
def test_slurm_conf_shows_whether_steps_get_cgroups(node: Held, lines: str, *, makes: bool) -> None:
    write(node.root / "etc/slurm/slurm.conf", lines + "\n")
    node.prolog()

    assert conf_of(str(node.root)).makes_cgroups == makes
    assert len(node.take()) == makes


@pytest.mark.parametrize("flags", ["Alloc,Contain", "contain", "X11", "Alloc,RunInJob"])
def test_contained_job_without_cgroup_is_no_reading(node: Held, flags: str) -> None:
    # Slurm makes the cgroup after its Prolog and removes it before its Epilog. So the job is in one
    # of them, however long ago our own Prolog ran.
    write(node.root / "etc/slurm/slurm.conf", f"PrologFlags={flags}\n")
    for seconds in (31, 301, 900):
        node.prolog(ago=seconds)
        assert node.take() == []


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ("", 300),
        ("PrologFlags=Alloc", 300),
        ("PrologEpilogTimeout=65534", 300),
        ("PrologEpilogTimeout=x", 300),
        ("PrologEpilogTimeout=600", 600),
        ("PrologEpilogTimeout=5", 30),
        ("PrologEpilogTimeout=60\nPrologTimeout=120", 120),
    ],
)
def test_slow_prolog_gives_no_zeros(node: Held, lines: str, seconds: int) -> None:
    write(node.root / "etc/slurm/slurm.conf", f"{lines}\n")
    node.prolog("1", ago=seconds - 1)
    node.prolog("2", ago=seconds)

    assert [sample["job_id"] for sample in node.take(after=0)] == ["2"]


@pytest.mark.parametrize("is_restarted", [True, False])
def test_slow_epilog_after_restart_gives_no_zeros(node: Held, *, is_restarted: bool) -> None:
    # The Epilog was killed before it removed the record, and the site has its event.
    node.prolog()
    node.epilog()
    assert node.take() == []
    (event,) = (node.spool / "events").iterdir()
    event.unlink()
    if is_restarted:
        node.restart()

    assert [node.take() for _ in range(3)] == [[]] * 3


@pytest.mark.parametrize("name", ["{}", ".{}.4711"])
def test_epilog_without_removal_is_the_end(node: Held, name: str) -> None:
    node.prolog()
    node.epilog(name=name)
    assert node.take() == []
    for event in (node.spool / "events").iterdir():
        event.unlink()  # the site has it

    assert node.take() == []


def test_earlier_runs_epilog_is_no_end(node: Held) -> None:
    node.prolog()
    node.epilog(at=1_000_000_000_000)
    node.epilog(job_id="77")

    assert len(node.take()) == 1


@pytest.mark.parametrize("is_restarted", [True, False])
@pytest.mark.parametrize("folder", ["job_7", SLUID])
def test_ended_cgroup_is_no_idle_node(node: Held, folder: str, *, is_restarted: bool) -> None:
    job = V2Job(node.root, folder)
    node.prolog(sluid=SLUID)
    node.take()
    job.vanish()
    if is_restarted:
        node.restart()

    assert [node.take() for _ in range(9)] == [[]] * 9


def test_cgroup_before_its_record_counts_as_seen(node: Held) -> None:
    job = V2Job(node.root, "job_7")
    node.take()
    job.vanish()
    node.prolog(ago=350)

    assert node.take() == []


def test_unknown_sluid_may_be_any_job(node: Held) -> None:
    job = V2Job(node.root, SLUID)
    node.prolog()
    node.prolog("8", sluid="s000000000000A")
    assert [sample["job_id"] for sample in node.take()] == ["8"]
    job.vanish()

    assert [sample["job_id"] for sample in node.take()] == ["8"]


def test_requeued_job_may_be_held_later(node: Held) -> None:
    job = V2Job(node.root, "job_7")
    node.prolog()
    node.take()
    job.vanish()
    node.take()
    node.prolog(ago=0)

    assert [len(node.take(after=100)) for _ in range(5)] == [0, 0, 0, 0, 1]


def test_new_folder_of_slurm_is_found_first(node: Held) -> None:
    node.prolog("1")
    node.take()
    V2Job(node.root, "job_7", "n1_slurmstepd.scope")
    node.prolog("7")

    passes = [node.take() for _ in range(3)]

    held = [[one["job_id"] for one in taken if is_idle(one)] for taken in passes]
    assert held == [["1"]] * 3


def test_damaged_memory_of_seen_jobs_is_ignored(node: Held) -> None:
    for text in ("", "[]", "{}", '{"boot_id": 1, "jobs": []}', "\x00", "[" * 100_000):
        write(node.spool / "seen", text)
        node.restart()
        node.prolog()
        assert len(node.take()) == 1


def test_dry_run_shows_held_job(tmp_path: Path, site: Site) -> None:
    node = Node(tmp_path, site)
    record(node.spool / "jobs", "8", uptime_seconds="1.0", node="n1")

    samples = {one["job_id"]: one for one in json.loads(node.run("--dry-run").stdout)["samples"]}

    assert (samples["8"]["cpu_usage"], samples["8"]["memory_usage_mb"]) == (0, 0)
    assert sorted(path.name for path in node.spool.iterdir()) == ["jobs"]
    assert "8" in node.run("jobs").stdout.splitlines()[2].split()


@pytest.mark.parametrize(
    ("command", "jobs"),
    [
        (b"slurmstepd: [7.batch]  \0\0", []),
        (b"slurmstepd: [7.extern]\0", []),
        (b"slurmstepd: [7+1.0]\0", []),
        (b"slurmstepd: [StepId=7.0]\0", []),
        (b"slurmstepd: [s4YDWXGQK8ZT30.0]\0", []),
        (b"slurmstepd: [\xff\xfe", []),
        (b"slurmstepd: [77.batch]\0", ["7"]),
        (b"slurmstepd: [17.0]\0", ["7"]),
        (b"/usr/sbin/slurmstepd\0infinity\0", ["7"]),
        (b"echo\0slurmstepd: [7.0]\0", ["7"]),
        (b"", ["7"]),
    ],
)
def test_job_with_a_step_is_no_held_one(node: Held, command: bytes, jobs: list[str]) -> None:
    write(node.root / "proc/4242/cmdline", "")
    (node.root / "proc/4242/cmdline").write_bytes(command)
    node.prolog(sluid=SLUID)

    assert [sample["job_id"] for sample in node.take()] == jobs
