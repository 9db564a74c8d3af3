"""How often one thing was tried, and when it may be tried again, while others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class Patience:
    """Attempts and pauses, each for one thing by its key."""

    def __init__(self) -> None:
        """Nothing was tried yet."""
        self._attempts: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def tried(self, key: str) -> int:
        """Counts an attempt; how many there were."""
        self._attempts[key] = self._attempts.get(key, 0) + 1
        return self._attempts[key]

    def pause(self, key: str, until: float) -> None:
        """The thing is left alone until then."""
        self._not_before[key] = until

    def allows(self, key: str, now: float) -> bool:
        """Whether the thing may be tried."""
        return now >= self._not_before.get(key, 0.0)

    def end_pauses(self) -> None:
        """Everything may be tried at once."""
        self._not_before.clear()

    def keep(self, keys: Collection[str]) -> None:
        """Forgets what is not among ``keys``: it has arrived, or has gone."""
        for known in (self._attempts, self._not_before):
            for key in known.keys() - keys:
                known.pop(key)
