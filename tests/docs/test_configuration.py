"""docs/configuration.md lists every variable with its default, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hpcobs.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
KNOWN = {field.encode_name: field for field in msgspec.structs.fields(Settings)}


def _rows() -> Iterator[tuple[list[str], list[str]]]:
    """Yield the variables of each row, and their defaults."""
    for line in re.findall(r"^\| `[A-Z].*$", PAGE.read_text(), re.MULTILINE):
        _, names, defaults, *_ = line.split("|")
        yield re.findall(r"`([A-Z_]+)`", names), [text.strip("` ") for text in defaults.split(",")]


def test_variables_are_listed_once() -> None:
    listed = [name for names, _ in _rows() for name in names]
    assert sorted(listed) == sorted(KNOWN)


def test_defaults_match_settings() -> None:
    wrong = []
    for names, defaults in _rows():
        for name, listed in zip(names, defaults, strict=len(defaults) > 1):
            default = KNOWN[name].default
            if isinstance(default, (int, str)):
                expected = str(default).lower() if isinstance(default, bool) else str(default)
                wrong += [(name, listed, expected)] if listed != expected else []
    assert wrong == []
