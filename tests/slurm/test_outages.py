"""A real Slurm while hpcobs, or a part of it, is down: no job suffers, and no event is lost."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.slurm.lab import NODES, until
from tests.slurm.site import Site, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.slurm.releases import Release

FORGETS_AFTER_SECONDS = 15
"""Long enough for a pass of the controller role after the service is back."""
LOST_SECONDS = 12.0
"""Some passes of the controller role, each with a query that fails."""
ENDS = {
    "true": ("COMPLETED", "completed", 0),
    "exit 3": ("FAILED", "failed", 3),
    "exec sleep 300": ("CANCELLED", "cancelled", 0),
}


@pytest.fixture(scope="module")
def site(folder: Path, release: Release) -> Iterator[Site]:
    """Start a site whose slurmctld soon forgets jobs and is read by Slurm's commands."""
    forgets = FORGETS_AFTER_SECONDS
    # Commands give slurmctld up after two seconds.
    with installed(folder, release, forgets_after_seconds=forgets, MessageTimeout=2) as site:
        site.configure_controller(by_commands=True)
        site.start_controller()
        yield site


@pytest.fixture(scope="module")
def waiting(site: Site) -> str:
    """Submit a job that never starts."""
    job_id = site.slurm.submit("true", "--hold")
    site.wait_for(job_id, "pending")
    return job_id


@pytest.fixture(scope="module")
def running(site: Site) -> str:
    """Submit a job that runs until the end of the tests, on both nodes."""
    job_id = site.slurm.submit("exec sleep 600", "-N2")
    site.wait_for(job_id, "running")
    return job_id


@pytest.fixture(scope="module")
def unseen(
    site: Site,
    waiting: str,  # noqa: ARG001 - these start before
    running: str,  # noqa: ARG001
) -> dict[str, str]:
    """Run jobs while the service is down. Return their ids by their scripts."""
    site.service.stop()
    slurm = site.slurm
    ids = {script: slurm.submit(script) for script in ENDS}
    slurm.wait_for(ids["exec sleep 300"], "RUNNING")
    slurm.cancel(ids["exec sleep 300"])
    for script, (raw_state, _, _) in ENDS.items():
        slurm.wait_for(ids[script], raw_state, "")
    for job_id in ids.values():
        until(partial(_epilogs_have_run, site, job_id))
    return ids


def _epilogs_have_run(site: Site, job_id: str) -> bool:
    run = {hook for hook, of_job, *_ in site.hook_calls() if of_job == job_id}
    return {"epilog", "epilog_slurmctld"} <= run


def test_outage_fails_no_hook_and_drains_no_node(site: Site, unseen: dict[str, str]) -> None:
    assert {status for _, _, status, _ in site.hook_calls()} == {0}
    assert "DRAIN" not in site.slurm.control("show", "nodes")
    assert site.waiting_events() >= 4 * len(unseen)


def test_jobs_of_outage_are_filled_in(site: Site, unseen: dict[str, str]) -> None:
    site.service.start()
    for script, (raw_state, state, exit_code) in ENDS.items():
        site.wait_for(unseen[script], state)
        until(partial(_has_raw_state, site, unseen[script], raw_state))
        assert site.job(unseen[script])["scheduler"]["exit_code"] == exit_code
    until(lambda: not site.waiting_events())


def _has_raw_state(site: Site, job_id: str, raw_state: str) -> bool:
    return bool(site.job(job_id)["scheduler"].get("raw_state") == raw_state)


@pytest.mark.usefixtures("unseen")
def test_forgotten_waiting_job_is_cancelled(site: Site, waiting: str, running: str) -> None:
    site.stop("controller")
    site.slurm.cancel(waiting)
    until(lambda: not site.slurm.job(waiting))
    site.start_controller()

    job = site.wait_for(waiting, "cancelled")

    assert "raw_state" not in job["scheduler"], "Slurm never reported it"
    assert site.state(running) == "running"


@pytest.mark.usefixtures("unseen")
def test_lost_slurmctld_ends_no_job(site: Site, running: str) -> None:
    site.slurm.stop_controller()
    time.sleep(LOST_SECONDS)
    site.slurm.start_controller()
    site.wait_for(site.slurm.submit("true"), "completed")

    assert site.state(running) == "running"
    states = {event["snapshot"]["state"] for event in site.audit(running)}
    assert states <= {"pending", "running"}


@pytest.mark.usefixtures("unseen")
def test_jobs_end_after_controller_loses_memory(site: Site, running: str) -> None:
    site.slurm.lose_all_jobs()

    until(lambda: site.state(running) != "running", 60)

    assert "end_time" in site.job(running)
    assert {status for _, _, status, _ in site.hook_calls()} == {0}
    until(lambda: site.slurm.idle_nodes() == len(NODES))
