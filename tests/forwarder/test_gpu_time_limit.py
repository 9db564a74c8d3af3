"""GPU libraries that hang or raise unexpected exceptions: no pass waits for them for long."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading
from hpcobs_forwarder.node.gpus.time_limit import TimeLimited

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HANG_SECONDS = 600.0
"""Longer than any limit, and than a test may take."""

READING = GpuReading("0", "nvidia", frozenset({"0"}))


class Driver:
    """A driver that hangs until it is released."""

    name = "fake"
    unread = ("GPU 1: lost",)
    is_partial = True

    def __init__(self) -> None:
        self.released = threading.Event()
        self.calls = 0
        self.failure: Exception | None = None

    def read(self) -> Sequence[GpuReading]:
        self.calls += 1
        self.released.wait(HANG_SECONDS)
        if self.failure is not None:
            raise self.failure
        return [READING]

    def missing(self) -> str | None:
        self.released.wait(HANG_SECONDS)
        return None


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.released.set()


def test_result_within_limit_is_returned(driver: Driver) -> None:
    driver.released.set()
    gpus = TimeLimited(driver)

    assert gpus.read() == [READING]
    assert gpus.missing() is None
    assert (gpus.name, gpus.unread, gpus.is_partial) == ("fake", ("GPU 1: lost",), True)


def test_hanging_driver_is_called_once_until_it_returns(driver: Driver) -> None:
    gpus = TimeLimited(driver, seconds=0.05)
    with pytest.raises(GpuError, match="no response within"):
        gpus.read()
    for _ in range(3):
        with pytest.raises(GpuError, match="still hangs"):
            gpus.read()
    assert driver.calls == 1
    assert "still hangs" in str(gpus.missing())

    driver.released.set()
    (hanging,) = (one for one in threading.enumerate() if one.name == "fake-gpus")
    hanging.join()

    gpus._seconds = 60.0  # a busy machine may start a thread late
    assert gpus.read() == [READING]


@pytest.mark.parametrize("failure", [AttributeError("no such function"), GpuError("no driver")])
def test_any_library_exception_becomes_gpuerror(driver: Driver, failure: Exception) -> None:
    driver.released.set()
    driver.failure = failure

    with pytest.raises(GpuError, match=str(failure)):
        TimeLimited(driver).read()
