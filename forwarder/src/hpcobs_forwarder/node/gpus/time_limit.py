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


class TimeLimited:
    """Calls ``reader`` in a thread, and waits for at most ``seconds``.

    While a call hangs, every further call fails at once, so that samples continue without GPUs.
    """

    def __init__(self, reader: GpuReader, seconds: float = _LONGEST_SECONDS) -> None:
        """Call nothing yet."""
        self._reader = reader
        self._seconds = seconds
        self._thread: threading.Thread | None = None
        self.name = reader.name

    @property
    def unread(self) -> Sequence[str]:
        """GPUs that the last reading lacks, each with the reason."""
        return self._reader.unread

    def read(self) -> Sequence[GpuReading]:
        """Read the GPUs. Raise GpuError if the library fails or hangs."""
        return self._call(self._reader.read)

    def missing(self) -> str | None:
        """Return what the library lacks and how to fix it, or None if it works."""
        try:
            return self._call(self._reader.missing)
        except GpuError as error:
            return str(error)

    def _call(self, function: Callable[[], T]) -> T:
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
