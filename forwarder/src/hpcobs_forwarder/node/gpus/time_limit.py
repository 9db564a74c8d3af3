"""A time limit for vendors' libraries: a driver whose GPU fell off the bus can hang for ever."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from hpcobs_forwarder.node.gpus.readings import GpuError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpcobs_forwarder.node.gpus.readings import GpuReader, GpuReading

T = TypeVar("T")

_LONGEST_SECONDS = 6.0


class TimeLimit:
    """Calls functions in a thread, and waits for each for at most ``seconds``.

    While a call hangs, every further call fails at once.
    """

    def __init__(self, name: str, seconds: float = _LONGEST_SECONDS) -> None:
        """Call nothing yet. Errors name ``name``."""
        self.name = name
        self._seconds = seconds
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], T]) -> T:
        """Return the function's result. Raise GpuError if it fails or hangs."""
        # A hanging C call cannot be cancelled. A second thread would hang as well, and the threads
        # would pile up.
        if self._thread is not None and self._thread.is_alive():
            raise GpuError(f"{self.name}: an earlier call still hangs in the driver")
        results: list[T] = []
        failures: list[GpuError] = []

        def work() -> None:
            try:
                results.append(function())
            except GpuError as error:
                failures.append(error)
            except Exception as error:  # noqa: BLE001 - a library of another version: no pass fails
                failures.append(GpuError(f"{type(error).__name__}: {error}"))

        # A daemon thread does not keep the forwarder from stopping.
        self._thread = threading.Thread(target=work, name=f"{self.name}-gpus", daemon=True)
        self._thread.start()
        self._thread.join(self._seconds)
        if failures:
            raise failures[0]
        if not results:
            raise GpuError(f"{self.name}: no response within {self._seconds:g} s")
        return results[0]


class TimeLimited(TimeLimit):
    """A reader with a time limit, so that samples continue without GPUs while its driver hangs."""

    def __init__(self, reader: GpuReader, seconds: float = _LONGEST_SECONDS) -> None:
        """Call nothing yet."""
        super().__init__(reader.name, seconds)
        self._reader = reader

    @property
    def unread(self) -> Sequence[str]:
        """GPUs and values that the last reading lacks, each with the reason."""
        return self._reader.unread

    @property
    def is_partial(self) -> bool:
        """Whether the last reading lacks GPUs."""
        return self._reader.is_partial

    def read(self) -> Sequence[GpuReading]:
        """Read the GPUs. Raise GpuError if the library fails or hangs."""
        return self.call(self._reader.read)

    def missing(self) -> str | None:
        """Return what the library lacks and how to fix it, or None if it works."""
        try:
            return self.call(self._reader.missing)
        except GpuError as error:
            return str(error)
