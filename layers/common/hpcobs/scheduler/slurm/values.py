"""Parse the values of slurmrestd's JSON, whose versions differ. A value that cannot be is None.

Numbers are plain up to v0.0.38, and objects from v0.0.39 on. States are a text, and from v0.0.40 on
a list. Exit codes were raw wait statuses. Sources: slurmrestd's OpenAPI documents, and slurm.h for
NO_VAL. The forwarder parses the same values without libraries: ``test_twins.py`` compares both.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from hpcobs.domain.jobs import Resources
from hpcobs.domain.values import INT4_MAX, INT8_MAX, LATEST, MAX_TEXT, MEMORY_MB_MAX

NO_VALUES = frozenset(2**bits - back for bits in (32, 64) for back in (1, 2))
"""INFINITE and NO_VAL of 32 and 64 bits. No number read here is narrower."""
NOTHING = frozenset({"", "(null)", "None assigned", "Unknown", "N/A"})
NO_REASON = "None"
YEAR_2200 = int(LATEST.timestamp())
"""The end of the times that the API accepts, in seconds since the epoch."""

_UNFIT = re.compile("[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL cannot store, and halves of surrogate pairs, which UTF-8 cannot encode."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
_MEMORY = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)([KMGTP]?)", re.ASCII)
_POWERS = "KMGTP"
_GRES = re.compile(r"\bgpu(?::[^:,(]+)?:(\d{1,9})", re.ASCII)
"""``gpu:2`` and ``gpu:a100:4(S:0-1)``."""


def number(value: Any) -> int | None:
    """Return the number, or None for each of Slurm's notations of "no value"."""
    if isinstance(value, dict):  # from v0.0.39 on
        is_set = value.get("set") and not value.get("infinite")
        value = value.get("number") if is_set else None
    if not is_number(value) or value in NO_VALUES or not 0 <= value <= INT8_MAX:
        return None
    return int(value)


def is_number(value: Any) -> bool:
    """Return whether the value is a finite number. In Python, true and false are numbers too."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def positive(value: Any) -> int | None:
    """Return the number, or None where Slurm writes 0 for none."""
    return number(value) or None


def at_most(limit: int, value: int | None) -> int | None:
    """Return the number, or None if it is larger than its column can hold."""
    return None if value is None or value > limit else value


def text(value: Any, longest: int | None = MAX_TEXT) -> str | None:
    """Return the text, cut to its length, or None for Slurm's notations of "no value"."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) <= INT8_MAX else None
    if not isinstance(value, str) or value in NOTHING:
        return None
    return _UNFIT.sub(_REPLACEMENT, value[:longest])


def reason(value: Any) -> str | None:
    """Return why a job is in its state, or None where Slurm writes "None"."""
    return None if value == NO_REASON else text(value)


def time(value: Any) -> datetime | None:
    """Return seconds since the epoch as a time, or None if not set or too late for the API."""
    seconds = positive(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds and seconds < YEAR_2200 else None


def state(words: Any) -> str:
    """Return a state with its flags behind a ``+``, or an empty text if there is none."""
    if isinstance(words, list):
        words = "+".join(word for word in words if isinstance(word, str))
    return (isinstance(words, str) and text(words)) or ""


def exit_of(value: Any) -> tuple[int | None, int | None]:
    """Return exit code and signal, from a raw wait status or an object with both."""
    # Some versions wrap the raw wait status instead: then "set" and "number" are given.
    if isinstance(value, dict) and "set" not in value:
        signal = value.get("signal")
        signal = signal if isinstance(signal, dict) else {}
        signal_id = number(signal.get("id", signal.get("signal_id")))
        return at_most(INT4_MAX, number(value.get("return_code")) or 0), at_most(
            INT4_MAX, signal_id or 0
        )
    # A raw wait status, see wait(2): the exit code in the second byte, the signal in the first.
    status = number(value)
    return (None, None) if status is None else (status >> 8 & 0xFF, status & 0x7F)


def resources(requested: Any, allocated: Any, gres_detail: Any = None) -> Resources:
    """Return the requested and allocated resources, such as ``cpu=4,mem=1.50G,gres/gpu:a100=2``.

    These texts hold GPUs only with ``AccountingStorageTRES=gres/gpu``. ``gres_detail`` always lists
    the GPUs that a job has now, node by node.
    """
    wanted, granted = _tres(requested), _tres(allocated)
    return Resources(
        requested_cpus=at_most(INT4_MAX, _count(wanted, "cpu")),
        allocated_cpus=at_most(INT4_MAX, _count(granted, "cpu")),
        requested_memory_mb=_megabytes(wanted),
        allocated_memory_mb=_megabytes(granted),
        requested_gpus=at_most(INT4_MAX, _gpus(wanted)),
        allocated_gpus=at_most(INT4_MAX, _gpus(granted) or _gres_gpus(gres_detail)),
    )


def gpus_of_node(gres: Any, tres: Any) -> int | None:
    """Return the number of a node's GPUs, or None if unknown."""
    return at_most(INT4_MAX, _gres_gpus(gres) or _gpus(_tres(tres)))


def _gres_gpus(gres: Any) -> int | None:
    texts = gres if isinstance(gres, list) else [gres]
    counts = (count for one in texts for count in _GRES.findall(text(one, None) or ""))
    return sum(map(int, counts)) or None


def _tres(listed: Any) -> dict[str, str]:
    pairs = (part.partition("=") for part in (text(listed, None) or "").split(","))
    return {name: count for name, _, count in pairs}


def _count(tres: dict[str, str], name: str) -> int | None:
    count = tres.get(name, "")
    return int(count) if _COUNT.fullmatch(count) else None


def _gpus(tres: dict[str, str]) -> int | None:
    # The entry without a type is the sum of those with one: adding all would count twice.
    typed = [_count(tres, name) or 0 for name in tres if name.startswith("gres/gpu:")]
    return _count(tres, "gres/gpu") or sum(typed) or None


def _megabytes(tres: dict[str, str]) -> int | None:
    size = _MEMORY.fullmatch(tres.get("mem", ""))
    if size is None:
        return None
    power = _POWERS.index(size[2] or "M") - _POWERS.index("M")
    return at_most(MEMORY_MB_MAX, round(float(size[1]) * 1024.0**power))
