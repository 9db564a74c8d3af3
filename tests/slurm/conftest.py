"""Tests on real Slurms: the case table on each release that can run here.

``SLURM_RELEASES`` names the releases on which all tests run, or is ``all``. Tests with the mark
``each_release`` run on every release unless it is set.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.slurm.releases import RELEASES, Release, reason_against


@pytest.fixture(scope="module", params=RELEASES, ids=str)
def release(request: pytest.FixtureRequest) -> Release:
    """Return each release in turn. Skip its tests where it cannot run."""
    release: Release = request.param
    marked = request.node.get_closest_marker("each_release") is not None
    if str(release) not in _wanted(marked=marked):
        pytest.skip(f"no real Slurm {release}: set SLURM_RELEASES=all, or to this release")
    reason = reason_against(release)
    if reason:
        pytest.skip(f"no real Slurm {release}: {reason}")
    return release


def _wanted(*, marked: bool) -> list[str]:
    """Return the releases that the tests of a file are to run on."""
    every = [str(release) for release in RELEASES]
    wanted = os.environ.get("SLURM_RELEASES")
    if wanted is None:
        return every if marked else every[:1]
    return every if wanted == "all" else wanted.split(",")


@pytest.fixture(scope="module")
def folder(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of a test's service."""
    return tmp_path_factory.mktemp(f"slurm-{release}") / "data"
