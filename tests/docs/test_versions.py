"""The version is the same in every file that docs/releasing.md names."""

from __future__ import annotations

import tomllib
from pathlib import Path

import hpcobs
import hpcobs_forwarder

ROOT = Path(__file__).parents[2]


def test_versions_are_equal() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == hpcobs.__version__ == hpcobs_forwarder.__version__
