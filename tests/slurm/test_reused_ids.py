"""A real Slurm that gives a job id a second time: two jobs, each with its own data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.slurm.lab import until
from tests.slurm.site import Site, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.slurm.lab import Slurm
    from tests.slurm.releases import Release

FORGETS_AFTER_SECONDS = 5


@dataclass(frozen=True)
class Reuse:
    """A job id that Slurm gave twice, and the id of the earlier job in hpcobs."""

    job_id: str
    earlier_id: str


@pytest.fixture(scope="module")
def site(folder: Path, release: Release) -> Iterator[Site]:
    """Start a site with a controller role, whose slurmctld soon forgets jobs."""
    with installed(folder, release, forgets_after_seconds=FORGETS_AFTER_SECONDS) as site:
        site.start_controller()
        yield site


def _empty_state(slurm: Slurm, job_id: str) -> None:
    """Begin with the first id again, and give all ids before this one."""
    slurm.lose_all_state()
    for _ in range(1, int(job_id)):
        slurm.submit("true")


def _wrap(slurm: Slurm, job_id: str) -> None:
    """Let the ids wrap, so that the next one is this one."""
    slurm.restart_controller(FirstJobId=job_id, MaxJobId=int(job_id) + 1)


WAYS = {"wrap": _wrap, "empty state": _empty_state}


@pytest.fixture(scope="module", params=WAYS)
def reuse(request: pytest.FixtureRequest, site: Site) -> Reuse:
    """Run a job to its end, and another one with its id. Wait until hpcobs has both ends."""
    slurm = site.slurm
    job_id = slurm.submit("sleep 2; exit 3", "-Jearlier", "-N2")
    slurm.wait_for(job_id, "FAILED")
    submitted = datetime.fromisoformat(slurm.job(job_id)["SubmitTime"]).astimezone(UTC)
    site.wait_for(job_id, "failed")
    until(lambda: site.job(job_id)["end_confirmed"])
    until(lambda: not slurm.job(job_id))
    WAYS[request.param](slurm, job_id)

    assert slurm.submit("true", "-Jlater") == job_id
    until(lambda: site.job(job_id).get("name") == "later")
    site.wait_for(job_id, "completed")
    return Reuse(job_id, f"{job_id}@{submitted:%Y%m%dT%H%M%SZ}")


def test_newest_job_has_plain_id(site: Site, reuse: Reuse) -> None:
    job = site.job(reuse.job_id)
    assert (job["name"], job["state"], len(job["nodes"])) == ("later", "completed", 1)
    assert job["scheduler"].get("exit_code") in (0, None)


def test_earlier_job_keeps_its_end(site: Site, reuse: Reuse) -> None:
    job = site.job(reuse.earlier_id)
    assert (job["name"], job["state"], len(job["nodes"])) == ("earlier", "failed", 2)
    assert (job["scheduler"]["raw_state"], job["scheduler"]["exit_code"]) == ("FAILED", 3)
    assert job["runtime_seconds"] == pytest.approx(2, abs=1)


def test_lists_have_both_jobs(site: Site, reuse: Reuse) -> None:
    jobs: list[dict[str, Any]] = site.service.get("/v1/jobs?limit=1000")["jobs"]
    assert {reuse.job_id, reuse.earlier_id} <= {job["id"] for job in jobs}


def test_each_job_has_its_own_trail(site: Site, reuse: Reuse) -> None:
    later = {event["snapshot"].get("name") for event in site.audit(reuse.job_id)}
    earlier = {event["snapshot"].get("name") for event in site.audit(reuse.earlier_id)}
    assert "earlier" not in later
    assert "later" not in earlier
    assert "earlier" in earlier
