"""How often one thing was tried, and when it may be tried again, while others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class Patience:
    """Attempts and pauses, each for one thing by its key."""

    def __init__(self) -> None:
        """Nothing was tried yet."""
        self._attempts: dict[str, int] = {}
        self._breaks: dict[str, tuple[int, int, int]] = {}
        self._not_before: dict[str, float] = {}

    def tried(self, key: str) -> int:
        """Counts an attempt; how many there were."""
        self._attempts[key] = self._attempts.get(key, 0) + 1
        return self._attempts[key]

    def broke(self, key: str, arrived: int) -> tuple[int, int]:
        """Counts a failure of the site on the thing, ``arrived`` others having arrived so far.

        How many failures there were, and how many of them the thing's alone: since the one before,
        others have arrived.
        """
        failures, alone, arrived_before = self._breaks.get(key, (0, 0, arrived))
        told = failures + 1, alone + (arrived > arrived_before)
        self._breaks[key] = (*told, arrived)
        return told

    def pause(self, key: str, until: float) -> None:
        """The thing is left alone until then."""
        self._not_before[key] = until

    def allows(self, key: str, now: float) -> bool:
        """Whether the thing may be tried."""
        return now >= self._not_before.get(key, 0.0)

    def end_pauses(self) -> None:
        """Everything may be tried at once."""
        self._not_before.clear()

    def keep(self, waiting: Iterable[str]) -> None:
        """Forgets what is not among the keys that are ``waiting``: it has arrived, or has gone."""
        if not (self._attempts or self._breaks or self._not_before):
            return
        keys = frozenset(waiting)
        _forget(self._attempts, keys)
        _forget(self._breaks, keys)
        _forget(self._not_before, keys)


def _forget(known: dict[str, Any], keys: Collection[str]) -> None:
    for key in known.keys() - keys:
        del known[key]
