"""What becomes of real jobs: Slurm, the hooks and both forwarders against the real service."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.slurm.lab import NODES, until
from tests.slurm.site import Site, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)

TRAP = "trap 'exit 9' TERM; sleep 300 & >ready; wait"
ODD_NAME = 'a "b" \\ ü'


@dataclass(frozen=True)
class Case:
    """A job, and its end as Slurm tells it: state, exit code, signal.

    ``by_hooks`` is the state that its epilogs, which cannot know better, make of it.
    """

    script: str
    raw_state: str
    state: str
    exit: tuple[int, int]
    options: tuple[str, ...] = ()
    by_hooks: str | None = None
    nodes: int = 1


CASES = {
    "time limit": Case("exec sleep 300", "TIMEOUT", "failed", (0, 15), ("-t1",), "completed"),
    "requeued": Case("sleep 5", "COMPLETED", "completed", (0, 0), ("--requeue",), "completed"),
    "success": Case("true", "COMPLETED", "completed", (0, 0), (f"-J{ODD_NAME}",), "completed"),
    "exit 3": Case("exit 3", "FAILED", "failed", (3, 0), (), "failed"),
    "SEGV": Case("kill -SEGV $$", "FAILED", "failed", (0, 11), (), "failed"),
    "two nodes": Case("sleep 4; exit 5", "FAILED", "failed", (5, 0), ("-N2",), "failed", nodes=2),
    "GPU": Case("true", "COMPLETED", "completed", (0, 0), ("--gres=gpu:2",), "completed"),
    "cancelled": Case("exec sleep 300", "CANCELLED", "cancelled", (0, 15), (), "completed"),
    "trapped": Case(TRAP, "CANCELLED", "cancelled", (9, 0), (), "completed"),
    "never ran": Case("true", "CANCELLED", "cancelled", (0, 0), ("--hold",), None, nodes=0),
    "task 0": Case("exit 0", "COMPLETED", "completed", (0, 0), (), "completed"),
    "task 1": Case("exit 1", "FAILED", "failed", (1, 0), (), "failed"),
    "task 2": Case("exit 2", "FAILED", "failed", (2, 0), (), "failed"),
}
LONG = ("time limit", "requeued")
SHORT = [name for name, case in CASES.items() if case.by_hooks and name not in LONG]
CORRECTED = ("cancelled", "trapped")


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    """Slurm with hpcobs on it, but for the controller role."""
    with installed(folder) as site:
        yield site


@pytest.fixture(scope="module")
def ids(site: Site) -> dict[str, str]:
    """All cases, submitted at once; their ids."""
    slurm = site.slurm
    alone = {name: case for name, case in CASES.items() if not name.startswith("task")}
    ids = {name: slurm.submit(case.script, *case.options) for name, case in alone.items()}
    array = slurm.submit("exit $SLURM_ARRAY_TASK_ID", "--array=0-2")
    # As the table of tests/e2e tells: the last task keeps the array's id, the others get new ones.
    ids |= {"task 0": str(int(array) + 1), "task 1": str(int(array) + 2), "task 2": array}
    for name in (*LONG, *CORRECTED, "two nodes"):
        slurm.wait_for(ids[name], "RUNNING")
    until((slurm.folder / "jobs/ready").exists)
    for node in NODES:
        site.cgroup(node, ids["two nodes"])
    slurm.control("update", f"jobid={ids['time limit']}", "EndTime=now+1")
    slurm.control("requeue", ids["requeued"])
    for name in (*CORRECTED, "never ran"):
        slurm.cancel(ids[name])
    return ids


@pytest.fixture(scope="module")
def heard(site: Site, ids: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What hpcobs knows of the short cases by hooks alone."""
    for name in SHORT:
        site.wait_for(ids[name], CASES[name].by_hooks or "")
    until(lambda: not site.waiting_events("node-*"))
    return {name: site.job(ids[name]) for name in SHORT}


@pytest.fixture(scope="module")
def told(
    site: Site,
    ids: dict[str, str],
    heard: dict[str, dict[str, Any]],  # noqa: ARG001 - the controller role begins after that
) -> Iterator[dict[str, dict[str, Any]]]:
    """What hpcobs knows in the end, after the controller role has told its part."""
    site.start_controller()
    for name, case in CASES.items():
        until(partial(_is_told, site, ids[name], case), 90)  # an exit code may come after the state
    yield {name: site.job(ids[name]) for name in CASES}
    site.stop("controller")


def _is_told(site: Site, job_id: str, case: Case) -> bool:
    scheduler = site.job(job_id).get("scheduler", {})
    told = (scheduler.get("raw_state"), scheduler.get("exit_code"), scheduler.get("signal"))
    return told == (case.raw_state, *case.exit)


@pytest.mark.parametrize("name", SHORT)
def test_hooks_alone_tell_the_end_as_far_as_they_can_know_it(
    name: str, heard: dict[str, dict[str, Any]]
) -> None:
    assert heard[name]["state"] == CASES[name].by_hooks
    assert len(heard[name]["nodes"]) == CASES[name].nodes
    assert heard[name]["cluster_name"] == "lab"


def test_a_nodes_hook_tells_its_gpus(heard: dict[str, dict[str, Any]]) -> None:
    assert heard["GPU"]["allocated_gpus"] == 2
    assert heard["GPU"]["gpu_devices"] == ["0", "1"]


def test_the_controller_tells_names_and_arrays(
    ids: dict[str, str], told: dict[str, dict[str, Any]]
) -> None:
    assert told["success"]["name"] == ODD_NAME
    assert told["task 1"]["array_job_id"] == ids["task 2"]
    assert told["task 1"]["array_task_id"] == "1"


@pytest.mark.parametrize("name", CASES)
def test_in_the_end_each_job_is_as_slurm_says(
    name: str, site: Site, ids: dict[str, str], told: dict[str, dict[str, Any]]
) -> None:
    case, job = CASES[name], told[name]
    scheduler = job["scheduler"]
    assert job["state"] == case.state
    assert (scheduler["exit_code"], scheduler["signal"]) == case.exit
    assert job["user"] == "www-data"
    assert len(job["nodes"]) == case.nodes
    slurms = site.slurm.job(ids[name])
    if slurms:
        assert slurms["JobState"] == scheduler["raw_state"] == case.raw_state
        assert slurms["ExitCode"] == "{}:{}".format(*case.exit)


@pytest.mark.parametrize("name", CASES)
def test_the_audit_trail_tells_each_change_and_who_made_it(
    name: str, site: Site, ids: dict[str, str], told: dict[str, dict[str, Any]]
) -> None:
    audit = site.audit(ids[name])
    by_whom = {event["changed_by"] for event in audit}
    corrections = [event for event in audit if event["change_type"] == "correction"]
    assert audit[0]["change_type"] == "upsert"
    assert audit[-1]["snapshot"]["state"] == told[name]["state"]
    assert {event["source"] for event in audit} == {"slurm"}
    assert by_whom <= {"controller", *(f"node-{node}" for node in told[name]["nodes"])}
    assert audit[-1]["changed_by"] == "controller"
    if name in CORRECTED:
        assert {event["changed_by"] for event in corrections} == {"controller"}
        assert corrections[0]["snapshot"]["state"] == "cancelled"


def test_a_requeued_job_has_two_runs_in_one_trail(
    site: Site, ids: dict[str, str], told: dict[str, dict[str, Any]]
) -> None:
    states = [event["snapshot"]["state"] for event in site.audit(ids["requeued"])]
    assert told["requeued"]["restart_count"] == 1
    assert states[-1] == "completed"
    assert states.count("running") >= 2


def test_samples_of_the_nodes_join_the_job_of_the_hooks(
    told: dict[str, dict[str, Any]],
) -> None:
    assert told["two nodes"]["sample_count"] >= 2


@pytest.mark.usefixtures("told")
def test_slurm_keeps_jobs_and_nodes_as_if_there_were_no_hooks(site: Site) -> None:
    calls = site.hook_calls()
    assert {hook for hook, *_ in calls} == {
        "prolog", "epilog", "prolog_slurmctld", "epilog_slurmctld"
    }  # fmt: skip
    assert {status for _, _, status, _ in calls} == {0}
    assert site.slurm.idle_nodes() == len(NODES)


@pytest.mark.usefixtures("told")
def test_doctors_find_nothing_that_cannot_work(site: Site) -> None:
    for node in NODES:
        said = site.doctor(f"node-{node}", "--sysfs-root", str(site.root(node)))
        assert said.returncode == 0, said.stdout
        assert "cluster lab is the site's own" in said.stdout
    said = site.doctor("controller", "--role", "controller")
    assert said.returncode == 0, said.stdout
    assert "queried by slurmrestd, has " in said.stdout
    assert "cluster lab is the site's own" in said.stdout


@pytest.mark.usefixtures("told")
def test_nothing_is_refused_and_nothing_left(site: Site) -> None:
    until(lambda: not site.waiting_events())
    assert list(site.slurm.folder.glob("spool/*/quarantine/*")) == []
