"""A reader whose library may hang, as a driver does whose GPU has fallen off the bus."""

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
    """Asks ``reader`` in a thread of its own, which is waited for no longer than ``seconds``.

    A question without an answer stays open: until it has one, no other is asked, and every reading
    fails at once. Samples go on without GPUs meanwhile.
    """

    def __init__(self, reader: GpuReader, seconds: float = _LONGEST_SECONDS) -> None:
        """Nothing is asked yet."""
        self._reader = reader
        self._seconds = seconds
        self._thread: threading.Thread | None = None
        self.name = reader.name

    @property
    def unread(self) -> Sequence[str]:
        """Which GPUs the last reading lacks, and why."""
        return self._reader.unread

    def read(self) -> Sequence[GpuReading]:
        """The GPUs as they are now; GpuError if the library fails or hangs."""
        return self._asked(self._reader.read)

    def missing(self) -> str | None:
        """What the library lacks to work, and how to mend it; None if it works."""
        try:
            return self._asked(self._reader.missing)
        except GpuError as error:
            return str(error)

    def _asked(self, question: Callable[[], T]) -> T:
        if self._thread is not None and self._thread.is_alive():
            raise GpuError(f"{self.name}: an earlier question has no answer yet")
        answers: list[T] = []
        failures: list[GpuError] = []

        def ask() -> None:
            try:
                answers.append(question())
            except GpuError as error:
                failures.append(error)
            except Exception as error:  # noqa: BLE001 - a library of another version: no pass fails
                failures.append(GpuError(f"{type(error).__name__}: {error}"))

        self._thread = threading.Thread(target=ask, name=f"{self.name}-gpus", daemon=True)
        self._thread.start()
        self._thread.join(self._seconds)
        if failures:
            raise failures[0]
        if not answers:
            raise GpuError(f"{self.name}: no answer within {self._seconds:g} s")
        return answers[0]
