"""Tests on real Slurms: the case table on each release that can run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slurm.releases import RELEASES, Release, reason_against

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests first: they take long, but mostly wait, while other tests can run."""
    items.sort(key=lambda item: HERE not in item.path.parents)


@pytest.fixture(scope="module", params=RELEASES, ids=str)
def release(request: pytest.FixtureRequest) -> Release:
    """Return each release in turn. Skip its tests where it cannot run."""
    release: Release = request.param
    reason = reason_against(release)
    if reason:
        pytest.skip(f"no real Slurm {release}: {reason}")
    return release


@pytest.fixture(scope="module")
def folder(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of a test's service."""
    return tmp_path_factory.mktemp(f"slurm-{release}") / "data"
