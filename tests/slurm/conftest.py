"""Tests on real Slurms: the case table on each release that can run here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.slurm.releases import RELEASES, Release, reason_against


@pytest.fixture(scope="module", params=RELEASES, ids=str)
def release(request: pytest.FixtureRequest) -> Release:
    """Return each release in turn. Skip its tests where it cannot run."""
    release: Release = request.param
    wanted = os.environ.get("SLURM_RELEASES", str(RELEASES[0]))
    if wanted != "all" and str(release) not in wanted.split(","):
        pytest.skip(f"no real Slurm {release}: set SLURM_RELEASES=all, or to this release")
    reason = reason_against(release)
    if reason:
        pytest.skip(f"no real Slurm {release}: {reason}")
    return release


@pytest.fixture(scope="module")
def folder(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of a test's service."""
    return tmp_path_factory.mktemp(f"slurm-{release}") / "data"
