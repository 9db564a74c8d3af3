"""Services and programs for tests. Whatever a test does to one, it is killed afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.local.processes import MARK, kill_marked
from tests.local.services import Service

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Return a function that makes services, which are not started yet."""
    made: list[Service] = []

    def make(*arguments: str, **settings: Any) -> Service:
        made.append(Service(tmp_path / "data", *arguments, **settings))
        return made[-1]

    yield make
    for service in made:
        service.kill()


class Run(NamedTuple):
    """A Python program in a process group, with a mark that its children inherit."""

    process: subprocess.Popen[str]
    mark: str


Program = Callable[..., Run]


@pytest.fixture
def program() -> Iterator[Program]:
    """Return a function that runs Python programs."""
    runs: list[Run] = []

    def run(text: str, *arguments: str) -> Run:
        mark = uuid.uuid4().hex
        process = subprocess.Popen(
            [sys.executable, "-c", text, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: mark},
            start_new_session=True,
        )
        runs.append(Run(process, mark))
        return runs[-1]

    yield run
    for process, mark in runs:
        kill_marked(mark)
        process.communicate()
