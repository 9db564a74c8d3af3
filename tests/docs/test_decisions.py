"""docs/adr lists every decision, and gives a reason for every library of the functions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "adr"
DEPENDENCIES = DECISIONS / "0018-libraries-of-the-functions.md"


def test_decisions_are_listed_by_title() -> None:
    listed = re.findall(
        r"^\| \[(\d{4})\]\((.+?)\) \| (.+) \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE
    )
    there = [
        (path.name[:4], path.name, path.read_text().partition("\n")[0][7:])
        for path in sorted(DECISIONS.glob("0*.md"))
    ]
    assert listed == there


def test_libraries_of_functions_have_reasons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[\[><=]", dependency)[0] for dependency in project["dependencies"]]
    page = DEPENDENCIES.read_text().lower()
    assert [name for name in names if name not in page] == []
