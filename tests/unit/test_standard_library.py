"""The domain and the forwarder import Python's standard library only."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def _imported(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are absolute"
                yield node.module or ""


def _foreign(folder: str) -> set[str]:
    names = set(_imported(ROOT / folder))
    assert names, f"{folder} holds no code"
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}


def test_domain_imports_standard_library_only() -> None:
    foreign = _foreign("layers/common/hpcobs/domain")
    assert {name for name in foreign if not name.startswith("hpcobs.domain")} == set()


def test_forwarder_imports_standard_library_only() -> None:
    foreign = _foreign("forwarder/src/hpcobs_forwarder")
    assert {name.partition(".")[0] for name in foreign} == {"hpcobs_forwarder"}
