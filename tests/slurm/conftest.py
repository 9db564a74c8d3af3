"""Tests on a real Slurm, where one is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slurm.lab import missing

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests first: they take long, but mostly wait, while other tests can run."""
    items.sort(key=lambda item: HERE not in item.path.parents)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of a test's service. Skip the test without a real Slurm."""
    reason = missing()
    if reason:
        pytest.skip(f"no real Slurm: {reason}")
    return tmp_path_factory.mktemp("slurm") / "data"
