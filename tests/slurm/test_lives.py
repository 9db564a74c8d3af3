"""Real jobs, from Slurm through the hooks and both forwarders to the real service."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.slurm.cases import (
    CANCELLED,
    CASES,
    CORRECTED,
    KILLED_FOR_MEMORY,
    LONG,
    NEVER_RAN,
    ODD_NAME,
    SHORT,
    Case,
)
from tests.slurm.lab import NODES, seconds_of, until
from tests.slurm.site import Site, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.slurm.releases import Release


SUSPENDED_SECONDS = 5


@pytest.fixture(scope="module")
def site(folder: Path, release: Release) -> Iterator[Site]:
    """Start Slurm with hpcobs, without the controller role."""
    with installed(folder, release, **KILLED_FOR_MEMORY) as site:
        yield site


@pytest.fixture(scope="module")
def ids(site: Site) -> dict[str, str]:
    """Submit all cases at once, and do to them what their cases need. Return their ids."""
    slurm = site.slurm
    alone = {name: case for name, case in CASES.items() if not name.startswith("task")}
    ids = {name: slurm.submit(case.script, *case.options) for name, case in alone.items()}
    array = slurm.submit("exit $SLURM_ARRAY_TASK_ID", "--array=0-2")
    # The last task keeps the array's id, the others get new ones (see the table of tests/e2e).
    ids |= {"task 0": str(int(array) + 1), "task 1": str(int(array) + 2), "task 2": array}
    for name in (*LONG, *CANCELLED, "suspended", "two nodes"):
        slurm.wait_for(ids[name], "RUNNING")
    slurm.control("suspend", ids["suspended"])
    until((slurm.folder / "jobs/ready").exists)
    for node in NODES:
        site.cgroup(node, ids["two nodes"])
    slurm.control("update", f"jobid={ids['time limit']}", "EndTime=now+1")
    slurm.control("requeue", ids["requeued"])
    time.sleep(SUSPENDED_SECONDS)
    slurm.control("resume", ids["suspended"])
    for name in (*CANCELLED, *NEVER_RAN):
        slurm.cancel(ids[name])
    return ids


@pytest.fixture(scope="module")
def hook_jobs(site: Site, ids: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the short cases' jobs in hpcobs, reported by hooks alone."""
    for name in SHORT:
        site.wait_for(ids[name], CASES[name].by_hooks or "")
    until(lambda: not site.waiting_events("node-*"))
    return {name: site.job(ids[name]) for name in SHORT}


@pytest.fixture(scope="module")
def final_jobs(
    site: Site,
    ids: dict[str, str],
    hook_jobs: dict[str, dict[str, Any]],  # noqa: ARG001 - the controller role starts after it
) -> Iterator[dict[str, dict[str, Any]]]:
    """Return the jobs in hpcobs after the controller role has reported them."""
    site.start_controller()
    for name, case in CASES.items():
        # An exit code may arrive after the state.
        until(partial(_is_final, site, ids[name], case), 90)
    yield {name: site.job(ids[name]) for name in CASES}
    site.stop("controller")


def _is_final(site: Site, job_id: str, case: Case) -> bool:
    scheduler = site.job(job_id).get("scheduler", {})
    found = (scheduler.get("raw_state"), scheduler.get("exit_code"), scheduler.get("signal"))
    return found == (case.raw_state, *case.exit)


@pytest.mark.parametrize("name", SHORT)
def test_hooks_alone_report_ends_they_can_see(
    name: str, hook_jobs: dict[str, dict[str, Any]]
) -> None:
    assert hook_jobs[name]["state"] == CASES[name].by_hooks
    assert len(hook_jobs[name]["nodes"]) == CASES[name].nodes
    assert hook_jobs[name]["cluster_name"] == "lab"


@pytest.mark.parametrize("name", SHORT)
def test_end_is_provisional_until_slurm_confirms(
    name: str, hook_jobs: dict[str, dict[str, Any]], final_jobs: dict[str, dict[str, Any]]
) -> None:
    assert hook_jobs[name]["end_confirmed"] is False
    assert final_jobs[name]["end_confirmed"] is True


def test_node_hook_reports_its_gpus(hook_jobs: dict[str, dict[str, Any]]) -> None:
    assert hook_jobs["GPU"]["allocated_gpus"] == 2
    assert hook_jobs["GPU"]["gpu_devices"] == ["0", "1"]


def test_controller_reports_names_and_arrays(
    ids: dict[str, str], final_jobs: dict[str, dict[str, Any]]
) -> None:
    assert final_jobs["success"]["name"] == ODD_NAME
    assert final_jobs["no text"]["name"] == "bad\ufffd\ufffdname"
    assert final_jobs["task 1"]["array_job_id"] == ids["task 2"]
    assert final_jobs["task 1"]["array_task_id"] == "1"


@pytest.mark.parametrize("name", CASES)
def test_final_jobs_equal_those_of_slurm(
    name: str, site: Site, ids: dict[str, str], final_jobs: dict[str, dict[str, Any]]
) -> None:
    case, job = CASES[name], final_jobs[name]
    scheduler = job["scheduler"]
    assert job["state"] == case.state
    assert (scheduler["exit_code"], scheduler["signal"]) == case.exit
    assert job["user"] == "www-data"
    assert len(job["nodes"]) == case.nodes
    slurms = site.slurm.job(ids[name])
    assert slurms["JobState"] == scheduler["raw_state"] == case.raw_state
    assert slurms["ExitCode"] == "{}:{}".format(*case.exit)


@pytest.mark.parametrize("name", CASES)
def test_run_time_is_slurms(
    name: str, site: Site, ids: dict[str, str], final_jobs: dict[str, dict[str, Any]]
) -> None:
    slurms = seconds_of(site.slurm.job(ids[name])["RunTime"])
    run_time = final_jobs[name].get("runtime_seconds")

    if name in NEVER_RAN:
        assert slurms == run_time == 0
    else:
        assert run_time == pytest.approx(slurms, abs=1)


@pytest.mark.parametrize("name", CASES)
def test_audit_trail_has_changes_and_authors(
    name: str, site: Site, ids: dict[str, str], final_jobs: dict[str, dict[str, Any]]
) -> None:
    audit = site.audit(ids[name])
    by_whom = {event["changed_by"] for event in audit}
    corrections = [event for event in audit if event["change_type"] == "correction"]
    assert audit[0]["change_type"] == "upsert"
    assert audit[-1]["snapshot"]["state"] == final_jobs[name]["state"]
    assert {event["source"] for event in audit} == {"slurm"}
    # A requeued job may run elsewhere the second time.
    nodes = NODES if name == "requeued" else final_jobs[name]["nodes"]
    assert by_whom <= {"controller", *(f"node-{node}" for node in nodes)}
    assert audit[-1]["changed_by"] == "controller"
    if name in CORRECTED:
        assert {event["changed_by"] for event in corrections} == {"controller"}
        assert corrections[0]["snapshot"]["state"] == CASES[name].state


def test_requeued_job_has_two_audited_runs(
    site: Site, ids: dict[str, str], final_jobs: dict[str, dict[str, Any]]
) -> None:
    states = [event["snapshot"]["state"] for event in site.audit(ids["requeued"])]
    assert final_jobs["requeued"]["restart_count"] == 1
    assert states[-1] == "completed"
    assert states.count("running") >= 2


def test_node_samples_join_the_hooks_job(
    final_jobs: dict[str, dict[str, Any]],
) -> None:
    assert final_jobs["two nodes"]["sample_count"] >= 2


@pytest.mark.usefixtures("final_jobs")
def test_hooks_do_not_disturb_slurm(site: Site) -> None:
    calls = site.hook_calls()
    assert {hook for hook, *_ in calls} == {
        "prolog", "epilog", "prolog_slurmctld", "epilog_slurmctld"
    }  # fmt: skip
    assert {status for _, _, status, _ in calls} == {0}
    assert site.slurm.idle_nodes() == len(NODES)


@pytest.mark.usefixtures("final_jobs")
def test_doctors_report_no_failure(site: Site) -> None:
    for node in NODES:
        report = site.doctor(f"node-{node}", "--sysfs-root", str(site.root(node)))
        assert report.returncode == 0, report.stdout
        assert "cluster lab is the site's own" in report.stdout
    report = site.doctor("controller", "--role", "controller")
    assert report.returncode == 0, report.stdout
    assert "queried by slurmrestd, has " in report.stdout
    assert "cluster lab is the site's own" in report.stdout


@pytest.mark.usefixtures("final_jobs")
def test_nothing_is_rejected_or_left_behind(site: Site) -> None:
    until(lambda: not site.waiting_events())
    assert list(site.slurm.folder.glob("spool/*/quarantine/*")) == []
