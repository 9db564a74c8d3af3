"""Values that a sample may lack: a damaged file costs its own value, and no other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class OptionalValues:
    """The optional values of the job in ``folder``. ``errors`` has a reason for each lost one."""

    def __init__(self, folder: str) -> None:
        """Read nothing yet."""
        self._folder = folder
        self.errors: list[Exception] = []

    def read(self, read: Callable[[], T | None]) -> T | None:
        """Return the value, or None if it cannot be read. Raise OSError if the job has gone."""
        try:
            return read()
        except (OSError, ValueError) as error:
            os.stat(self._folder)
            self.errors.append(error)
            return None
