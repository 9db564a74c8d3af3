"""Health: the status that follows from each part's answer, error or silence."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.service.health import Health, HealthReport

if TYPE_CHECKING:
    from collections.abc import Callable


def ok() -> None:
    return None


def unavailable() -> None:
    raise UnavailableError("the database is not available")


def broken() -> None:
    raise RuntimeError("a secret of the inside")


def report(database: Callable[[], object], queue: Callable[[], object]) -> HealthReport:
    return Health(database=database, queue=queue, version="9", limit_seconds=0.2).report()


@pytest.mark.parametrize(
    ("database", "queue", "status"),
    [
        (ok, ok, "healthy"),
        (ok, unavailable, "degraded"),
        (unavailable, ok, "unhealthy"),
        (broken, broken, "unhealthy"),
    ],
)
def test_parts_determine_overall_status(
    database: Callable[[], object], queue: Callable[[], object], status: str
) -> None:
    assert report(database, queue).status == status


def test_unknown_error_is_not_disclosed() -> None:
    checks = report(unavailable, broken).checks
    assert checks["database"].message == "the database is not available"
    assert checks["queue"].message == "failed"


def test_hanging_part_is_unavailable() -> None:
    # A report that waited for the queue would never be made.
    forever = threading.Event()
    result = report(ok, forever.wait)
    forever.set()
    assert result.status == "degraded"
    assert "no response" in (result.checks["queue"].message or "")


def test_working_part_has_duration_and_no_message() -> None:
    check = report(ok, ok).checks["database"]
    assert check.ok
    assert check.message is None
    assert check.duration_ms >= 0
