"""Services for tests. Whatever a test does to one, it is killed afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.services import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
