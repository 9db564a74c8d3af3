"""docs/site.md lists every option with its default."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from infra.paths import ROOT, SITES

PAGE = ROOT / "docs" / "site.md"
ROW = re.compile(r"^\| (`.+?`) \| (.*?) \| (.+) \|$", re.MULTILINE)
EXAMPLE = tomllib.loads((SITES / "example.toml").read_text())


def _listed(section: str) -> dict[str, object]:
    """Return the options of a section of the page with their defaults."""
    head, _, rest = PAGE.read_text().partition(f"## `[{section}]`" if section else "\n|")
    text = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    listed: dict[str, object] = {}
    for options, defaults, what in ROW.findall(text):
        names = re.findall(r"`(\w+)`", options)
        values = re.findall(r"`(.+?)`", defaults) or [None] * len(names)
        assert len(what.split()) > 3
        listed.update(
            (name, None if value is None else json.loads(value))
            for name, value in zip(names, values, strict=True)
        )
    assert head
    return listed


@pytest.mark.parametrize("section", [name for name in EXAMPLE if isinstance(EXAMPLE[name], dict)])
def test_page_lists_options_with_defaults(section: str) -> None:
    assert _listed(section) == EXAMPLE[section]


def test_page_lists_required_options() -> None:
    needed = {name for name, value in EXAMPLE.items() if not isinstance(value, dict)}
    assert _listed("").keys() == needed
