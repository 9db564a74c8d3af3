"""Check the numbers of drivers and tools. A number that cannot be right is dropped alone.

Drivers report a utilisation of 686,103 %, more memory in use than there is, and all bits set for
"unknown". Each such value would make the site reject the whole sample.
"""

from __future__ import annotations

import re

MOST_PERCENT = 100.0
MOST_WATTS = 5_000.0
MOST_CELSIUS = 150.0
"""Far more than any GPU draws, and hotter than any GPU survives."""

MOST_MEMORY_MB = 1 << 24
"""16 TiB, in MiB."""

_LONGEST_SHOWN = 60

_NUMBER = re.compile(r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*([^\d\s]*)")

# Texts for "this GPU does not report it". They are no errors.
_BLANK = frozenset({"", "n/a", "[n/a]", "none", "unknown", "not supported", "[not supported]"})
# Older libraries set all bits of a field that they cannot fill.
_ALL_BITS = frozenset({0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF})


class Values:
    """Checks the values of one GPU, and remembers those that it dropped in ``dropped``."""

    def __init__(self, gpu: str) -> None:
        """``gpu`` names the GPU in ``dropped``."""
        self._gpu = gpu
        self.dropped: list[str] = []

    def drop(self, field: str, reason: object) -> None:
        """Record that ``field`` could not be read."""
        self.dropped.append(f"{self._gpu}: {field}: {reason}")

    def within(self, field: str, most: float, value: object, unit: str = "") -> float | None:
        """Return the number if it is between 0 and ``most``. Drop it otherwise.

        A text may carry ``unit``. Return None for an absent value.
        """
        if is_blank(value):
            return None
        found = number(value, unit)
        # NaN and infinity fail the comparison too.
        if found is None or not 0 <= found <= most:
            self.drop(field, f"{_shown(value)} is not between 0 and {most:g}")
            return None
        return found

    def memory(
        self, used: object, total: object, *, unit: str = "MB", per_mb: int = 1
    ) -> tuple[int | None, int | None]:
        """Return the memory in use and in total in MiB, from numbers of ``per_mb`` to a MiB."""
        most = float(MOST_MEMORY_MB * per_mb)
        all_mb = self.within("memory_total_mb", most, total, unit)
        used_mb = self.within("memory_used_mb", most, used, unit)
        if all_mb is not None and used_mb is not None and used_mb > all_mb:
            self.drop("memory_used_mb", f"{_shown(used)} is more than {_shown(total)}")
            used_mb = None
        return (
            None if used_mb is None else int(used_mb / per_mb),
            None if all_mb is None else int(all_mb / per_mb),
        )


def is_blank(value: object) -> bool:
    """Return whether the value means "not reported"."""
    if value is None:
        return True
    if isinstance(value, dict) and "value" in value:
        return is_blank(value["value"])
    if isinstance(value, str):
        return value.strip().lower() in _BLANK
    return isinstance(value, int) and value in _ALL_BITS


def number(value: object, unit: str = "") -> float | None:
    """Return the number in a tool's output, or None if it is no number in ``unit``."""
    if isinstance(value, dict):
        # Some versions of amdsmi report {"value": 90, "unit": "W"}.
        value = f"{value.get('value')} {value.get('unit', '')}"
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value.strip())
        # Another unit would be another number: 64 GB is not 64 MB.
        if match is None or match[2].lower().lstrip("°") not in {"", *_spellings(unit)}:
            return None
        return float(match[1])
    try:
        return float(value) if isinstance(value, (int, float)) else None
    except OverflowError:
        return None


def _shown(value: object) -> str:
    try:
        return repr(value)[:_LONGEST_SHOWN]
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number"


def _spellings(unit: str) -> tuple[str, ...]:
    unit = unit.lower()
    return (unit, unit.replace("mb", "mib"))
