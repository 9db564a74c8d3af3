"""Parse the values of slurmrestd's JSON, whose versions differ.

Numbers are plain up to v0.0.38, and objects from v0.0.39 on. States are a text, and from v0.0.40 on
a list. Exit codes were raw wait statuses. Sources: slurmrestd's OpenAPI documents, and slurm.h for
NO_VAL.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import Struct

from hpcobs.domain.jobs import Resources

NO_VALUES = frozenset(2**bits - back for bits in (32, 64) for back in (1, 2))
"""INFINITE and NO_VAL of 32 and 64 bits. No number read here is narrower."""
NOTHING = frozenset({"", "(null)", "None assigned", "Unknown", "N/A"})
LONGEST_TEXT = 255
YEAR_2200 = 7_258_118_400
"""The end of the times that the API accepts, in seconds since the epoch."""

_MEMORY = re.compile(r"([\d.]+)([KMGTP]?)")
_POWERS = "KMGTP"
_GRES = re.compile(r"\bgpu(?::[^:,(]+)?:(\d+)")
"""``gpu:2`` and ``gpu:a100:4(S:0-1)``."""


class SetNumber(Struct):
    """A number, from v0.0.39 on."""

    set: bool = False
    infinite: bool = False
    number: int | float = 0


Number = int | float | SetNumber | None


class Signal(Struct):
    """The signal that ended a job."""

    id: Number = None
    signal_id: Number = None


class ExitCode(Struct):
    """A job's exit code, from v0.0.39 on.

    Some versions wrap the raw wait status instead: then ``set`` and ``number`` are given.
    """

    return_code: Number = None
    signal: Signal | None = None
    set: bool | None = None
    infinite: bool = False
    number: int | float = 0


def number(value: Number) -> int | None:
    """Return the number, or None for each of Slurm's notations of "no value"."""
    if isinstance(value, SetNumber):
        value = value.number if value.set and not value.infinite else None
    if value is None or value < 0 or value in NO_VALUES:
        return None
    return int(value)


def text(value: str | int | None) -> str | None:
    """Return the text, cut to 255 characters, or None for Slurm's notations of "no value"."""
    if value is None or value in NOTHING:
        return None
    return str(value)[:LONGEST_TEXT]


def time(value: Number) -> datetime | None:
    """Return seconds since the epoch as a time, or None if not set or too late for the API."""
    seconds = number(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds and seconds < YEAR_2200 else None


def state(words: str | list[str] | None) -> str:
    """Return a state with its flags behind a ``+``, or an empty text if there is none."""
    return "+".join(words) if isinstance(words, list) else words or ""


def exit_of(value: int | ExitCode | None) -> tuple[int | None, int | None]:
    """Return exit code and signal."""
    if isinstance(value, ExitCode) and value.set is None:
        signal = value.signal or Signal()
        return number(value.return_code) or 0, number(signal.id) or number(signal.signal_id) or 0
    if isinstance(value, ExitCode):
        value = number(SetNumber(bool(value.set), value.infinite, value.number))
    # A raw wait status, see wait(2): the exit code in the second byte, the signal in the first.
    status = number(value)
    return (None, None) if status is None else (status >> 8 & 0xFF, status & 0x7F)


def resources(
    requested: str | None, allocated: str | None, gres_detail: list[str] | None = None
) -> Resources:
    """Return the requested and allocated resources, such as ``cpu=4,mem=1.50G,gres/gpu:a100=2``.

    These texts hold GPUs only with ``AccountingStorageTRES=gres/gpu``. ``gres_detail`` always lists
    the GPUs that a job has now, node by node.
    """
    wanted, granted = _tres(requested), _tres(allocated)
    return Resources(
        requested_cpus=_count(wanted, "cpu"),
        allocated_cpus=_count(granted, "cpu"),
        requested_memory_mb=_megabytes(wanted),
        allocated_memory_mb=_megabytes(granted),
        requested_gpus=_gpus(wanted),
        allocated_gpus=_gpus(granted) or _gres_gpus(",".join(gres_detail or ())),
    )


def gpus_of_node(gres: str | None, tres: str | None) -> int | None:
    """Return the number of a node's GPUs, or None if unknown."""
    return _gres_gpus(gres or "") or _gpus(_tres(tres))


def _gres_gpus(gres: str) -> int | None:
    return sum(int(count) for count in _GRES.findall(gres)) or None


def _tres(listed: str | None) -> dict[str, str]:
    pairs = (part.partition("=") for part in (listed or "").split(","))
    return {name: count for name, _, count in pairs}


def _count(tres: dict[str, str], name: str) -> int | None:
    count = tres.get(name, "")
    return int(count) if count.isdecimal() else None


def _gpus(tres: dict[str, str]) -> int | None:
    # The entry without a type is the sum of those with one: adding all would count twice.
    typed = [_count(tres, name) or 0 for name in tres if name.startswith("gres/gpu:")]
    return _count(tres, "gres/gpu") or sum(typed) or None


def _megabytes(tres: dict[str, str]) -> int | None:
    size = _MEMORY.fullmatch(tres.get("mem", ""))
    if size is None:
        return None
    power = _POWERS.index(size[2] or "M") - _POWERS.index("M")
    return round(float(size[1]) * 1024.0**power)
