"""The controller role on the hosts of slurmctld and of its backup, both at once."""

from __future__ import annotations

import itertools
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.slurm.lab import until
from tests.slurm.site import Site, installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.slurm.releases import Release

pytestmark = pytest.mark.each_release

ROLES = ("controller", "backup")
PASSES = 5
"""Passes that both roles make after the end, one a second."""


@pytest.fixture(scope="module")
def site(folder: Path, release: Release) -> Iterator[Site]:
    """Start a site with two controller roles, which both query the slurmctld in control."""
    with installed(folder, release) as site:
        spool = site.spool("backup")
        spool.mkdir(mode=0o700)
        shutil.chown(spool, "slurm")
        site._configure("backup", None, owner="slurm")
        site.configure_controller(by_commands=True)
        for role in ROLES:
            site.start(role, "--role", "controller", user="slurm")
        yield site


@pytest.fixture(scope="module")
def cancelled(site: Site) -> str:
    """Run a job that is cancelled, and wait until both roles have reported its end."""
    job_id = site.slurm.submit("exec sleep 300")
    site.wait_for(job_id, "running")
    site.slurm.cancel(job_id)
    until(lambda: site.job(job_id)["scheduler"].get("raw_state") == "CANCELLED")
    time.sleep(PASSES)
    return job_id


def test_two_roles_change_a_job_once(site: Site, cancelled: str) -> None:
    changes = [_without_times(event["snapshot"]) for event in site.audit(cancelled)]

    assert changes[-1]["state"] == "cancelled"
    for earlier, later in itertools.pairwise(changes):
        assert earlier != later, "a change that changes nothing"


def _without_times(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in snapshot.items() if not name.endswith("_at")}


def test_one_role_is_enough(site: Site) -> None:
    site.stop(ROLES[0])
    job_id = site.slurm.submit("true")

    until(lambda: _raw_state(site, job_id) == "COMPLETED")


def test_completing_job_gets_its_last_state(site: Site) -> None:
    site.slow_down("epilog")
    job_id = site.slurm.submit("exit 3")
    # 22.05 shows COMPLETING alone, which is no end. 24.11 shows FAILED+COMPLETING.
    site.slurm.wait_for(job_id, "COMPLETING")
    until(lambda: "COMPLETING" in _raw_state(site, job_id) or site.job(job_id).get("end_confirmed"))

    until(lambda: _raw_state(site, job_id) == "FAILED")

    assert site.job(job_id)["scheduler"]["exit_code"] == 3


def _raw_state(site: Site, job_id: str) -> str:
    return str(site.job(job_id).get("scheduler", {}).get("raw_state", ""))
