"""docs/site.md tells of every option, with the default that it has."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from infra.paths import ROOT, SITES

PAGE = ROOT / "docs" / "site.md"
ROW = re.compile(r"^\| (`.+?`) \| (.*?) \| (.+) \|$", re.MULTILINE)
EXAMPLE = tomllib.loads((SITES / "example.toml").read_text())


def _told(section: str) -> dict[str, object]:
    """The options of a section of the page, with their defaults."""
    head, _, rest = PAGE.read_text().partition(f"## `[{section}]`" if section else "\n|")
    text = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    told: dict[str, object] = {}
    for options, defaults, what in ROW.findall(text):
        names = re.findall(r"`(\w+)`", options)
        values = re.findall(r"`(.+?)`", defaults) or [None] * len(names)
        assert len(what.split()) > 3
        told.update(
            (name, None if value is None else json.loads(value))
            for name, value in zip(names, values, strict=True)
        )
    assert head
    return told


@pytest.mark.parametrize("section", [name for name in EXAMPLE if isinstance(EXAMPLE[name], dict)])
def test_every_option_of_a_section_is_told_with_its_default(section: str) -> None:
    assert _told(section) == EXAMPLE[section]


def test_what_has_no_default_is_told_too() -> None:
    needed = {name for name, value in EXAMPLE.items() if not isinstance(value, dict)}
    assert _told("").keys() == needed
