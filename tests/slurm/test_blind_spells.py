"""Jobs that end while the controller role cannot see them: slurmdbd knows how they ended."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

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
    with installed(folder, release, forgets_after_seconds=forgets, accounting=True) as site:
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
