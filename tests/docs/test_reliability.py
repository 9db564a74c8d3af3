"""docs/reliability.md: each line has a fault, a promise, and a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
LINES = re.findall(r"^\| (?!fault |---)(.+) \|$", PAGE, re.MULTILINE)
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@cache
def functions(file: str) -> set[str]:
    """Return the names of a file's functions."""
    parsed = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(parsed) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_named_test_exists(file: str, name: str) -> None:
    assert (ROOT / file).exists(), file
    assert name in functions(file)


def test_each_fault_has_promise_and_test() -> None:
    assert len(LINES) > 30
    for line in LINES:
        fault, promise, test = line.split(" | ")
        assert fault
        assert promise
        assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", test), line
