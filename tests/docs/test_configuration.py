"""The page on configuration has every variable that is read, with its default, and no other."""

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
    """The variables of each row, and their defaults."""
    for line in re.findall(r"^\| `[A-Z].*$", PAGE.read_text(), re.MULTILINE):
        _, names, defaults, *_ = line.split("|")
        yield re.findall(r"`([A-Z_]+)`", names), [text.strip("` ") for text in defaults.split(",")]


def test_every_variable_is_told_once() -> None:
    told = [name for names, _ in _rows() for name in names]
    assert sorted(told) == sorted(KNOWN)


def test_each_default_is_the_one_that_counts() -> None:
    wrong = []
    for names, defaults in _rows():
        for name, told in zip(names, defaults, strict=len(defaults) > 1):
            default = KNOWN[name].default
            if isinstance(default, (int, str)):
                expected = str(default).lower() if isinstance(default, bool) else str(default)
                wrong += [(name, told, expected)] if told != expected else []
    assert wrong == []
