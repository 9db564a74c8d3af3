"""Load a vendor's library, and initialise it again after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.node.gpus.readings import GpuError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


class Library:
    """A Python module of a vendor, loaded and initialised at the first use.

    ``initialise`` names its function for that. ``package`` and ``driver`` are the advice for a
    missing module and for one that does not start.
    """

    def __init__(
        self, load: Callable[[], ModuleType], *, initialise: str, package: str, driver: str
    ) -> None:
        """Load nothing yet."""
        self._load = load
        self._initialise = initialise
        self._package = package
        self._driver = driver
        self._module: Any = None

    def open(self) -> Any:
        """Return the module. Raise GpuError with advice if it cannot be used."""
        if self._module is not None:
            return self._module
        # Any exception: on import amdsmi loads ROCm's C library, which may be missing or of another
        # version, and each library has exceptions of its own.
        try:
            module: Any = self._load()
        except Exception as error:
            raise GpuError(f"{error}; {self._package}") from error
        try:
            getattr(module, self._initialise)()
        except Exception as error:
            raise GpuError(f"{error}; {self._driver}") from error
        self._module = module
        return module

    def forget(self) -> None:
        """Initialise again at the next use: the driver may have been updated."""
        self._module = None

    def missing(self) -> str | None:
        """Return what the library lacks and how to fix it, or None if it works."""
        try:
            self.open()
        except GpuError as error:
            return str(error)
        return None
