"""Slurm while the controller role cannot see its jobs: slurmdbd knows how they ended."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.slurm.cases import TRAP
from tests.slurm.lab import until
from tests.slurm.site import Site, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.slurm.releases import Release

FORGETS_AFTER_SECONDS = 3
SELDOM_SECONDS = 20
LOST_SECONDS = 12.0
"""Some passes of the controller role, each with a query that fails."""
# What slurmdbd has in the end, which no epilog can see.
ENDS = {
    "exec sleep 300": ("CANCELLED", "cancelled"),
    TRAP: ("CANCELLED", "cancelled"),
    "exit 3": ("FAILED", "failed"),
    "true": ("COMPLETED", "completed"),
}
HELD = "held"


@pytest.fixture(scope="module")
def site(folder: Path, release: Release) -> Iterator[Site]:
    """Start a site with slurmdbd, whose slurmctld soon forgets jobs."""
    forgets = FORGETS_AFTER_SECONDS
    # Commands give slurmctld up after two seconds.
    settings: dict[str, Any] = {"accounting": True, "MessageTimeout": 2}
    with installed(folder, release, forgets_after_seconds=forgets, **settings) as site:
        yield site


@pytest.fixture(scope="module", params=["slurmrestd is down", "queries are rare"])
def unseen(request: pytest.FixtureRequest, site: Site) -> Iterator[dict[str, str]]:
    """Run jobs that slurmctld has forgotten before it is queried. Return their ids by scripts."""
    rare = request.param == "queries are rare"
    if rare:
        site.configure_controller(HPCOBS_INTERVAL_SECONDS=str(SELDOM_SECONDS))
    # A job that hpcobs has shows that the controller role has queried.
    seen = site.slurm.submit("true", "--hold")
    site.start_controller()
    site.wait_for(seen, "pending")
    if not rare:
        site.slurm.stop_rest()
    ids = _run_and_forget(site)
    if not rare:
        site.slurm.start_rest()
    yield ids
    site.slurm.cancel(seen)
    site.stop("controller")
    site.configure_controller()


def _run_and_forget(site: Site) -> dict[str, str]:
    slurm = site.slurm
    (slurm.folder / "jobs/ready").unlink(missing_ok=True)
    ids = {script: slurm.submit(script) for script in ENDS}
    ids[HELD] = slurm.submit("true", "--hold")
    slurm.wait_for(ids["exec sleep 300"], "RUNNING")
    until((slurm.folder / "jobs/ready").exists)
    for script in ("exec sleep 300", TRAP, HELD):
        slurm.cancel(ids[script])
    for job_id in ids.values():
        until(partial(_is_forgotten, site, job_id))
    return ids


def _is_forgotten(site: Site, job_id: str) -> bool:
    return not site.slurm.job(job_id)


@pytest.mark.parametrize("script", ENDS)
def test_slurmdbd_corrects_what_epilogs_thought(
    script: str, site: Site, unseen: dict[str, str]
) -> None:
    raw_state, state = ENDS[script]
    until(lambda: site.job(unseen[script]).get("scheduler", {}).get("raw_state") == raw_state)
    assert site.state(unseen[script]) == state


def test_held_job_that_was_cancelled_appears(site: Site, unseen: dict[str, str]) -> None:
    job = site.wait_for(unseen[HELD], "cancelled")
    assert job.get("runtime_seconds") == 0


def test_lost_slurmctld_ends_no_job(site: Site) -> None:
    site.configure_controller(by_commands=True)
    site.start_controller()
    job_id = site.slurm.submit("exec sleep 300")
    site.wait_for(job_id, "running")
    until(lambda: site.job(job_id)["scheduler"].get("raw_state") == "RUNNING")
    site.slurm.stop_controller()
    time.sleep(LOST_SECONDS)
    states = {event["snapshot"]["state"] for event in site.audit(job_id)}
    site.slurm.start_controller()
    site.slurm.cancel(job_id)
    site.wait_for(job_id, "cancelled")
    site.stop("controller")
    site.configure_controller()

    assert states <= {"pending", "running"}
