"""Commands that run in this process, and a real service for those that connect to one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from hpcobs_cli.main import app
from tests.local.services import Service, is_ours


class Result(NamedTuple):
    """Exit status and output of a command."""

    status: int
    output: str
    errors: str


Run = Callable[..., Result]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Return a function that runs a command in an empty folder, without any settings."""
    for name in filter(is_ours, dict(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))

    def run(*arguments: str) -> Result:
        status = 0
        try:
            app(list(arguments))
        except SystemExit as end:
            status = int(end.code or 0)
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service without a simulated cluster, for the tests of one module."""
    with Service(tmp_path_factory.mktemp("service") / "data", "--no-simulate") as running:
        yield running
