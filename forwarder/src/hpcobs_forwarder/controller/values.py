"""Parse Slurm's JSON values, whose form differs between versions of its data parser.

A value that cannot be parsed is None. It costs neither the job nor its other values.
"""

from __future__ import annotations

import math
import re
from typing import Any

from hpcobs_forwarder.clock import rfc3339

# NO_VAL and INFINITE in 32 and 64 bits (slurm.h). The 16-bit ones are left out: no field that is
# read here is that narrow, and 65534 can be a real value.
_NONE = frozenset({0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFE, 0xFFFFFFFFFFFFFFFF})
_LARGEST = 2**63 - 1

YEAR_2200 = 7_258_118_400
"""The end of the contract's times, in seconds since the epoch."""

BLANK = frozenset({"", "(null)", "None assigned", "Unknown", "N/A"})
NO_LIMIT = frozenset({"UNLIMITED", "INFINITE", "Partition_Limit", "NONE", "None", "NOT_SET"})
"""Texts that Slurm writes where a number has no value."""

_UNFIT = re.compile("[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL cannot store, and half of a surrogate pair, which UTF-8 cannot encode."""
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)([KMGTP]?)", re.ASCII)
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
_GPUS = re.compile(r"\bgpu(?::[^:,(]+)?:(\d{1,9})", re.ASCII)
_MEBIBYTES = {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}


def number(value: Any) -> int | None:
    """Return the number, or None. From v0.0.39 on it is ``{"set", "infinite", "number"}``."""
    if isinstance(value, dict):
        if value.get("infinite") or not value.get("set"):
            return None
        value = value.get("number")
    if not _is_number(value):
        return None
    return None if value in _NONE or not 0 <= value <= _LARGEST else int(value)


def _is_number(value: Any) -> bool:
    # bool is a subclass of int. NaN and infinity have no integer.
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def is_odd_number(value: Any) -> bool:
    """Return whether Slurm should not write this for a number or for the lack of one."""
    if isinstance(value, dict) and "number" in value:
        value = value["number"]
    if isinstance(value, str):
        return value not in BLANK and value not in NO_LIMIT
    return not (value is None or value == {} or _is_number(value))


def is_odd_text(value: Any) -> bool:
    """Return whether Slurm should not write this for a text or for the lack of one."""
    return not (value is None or isinstance(value, (str, int))) or isinstance(value, bool)


def positive(value: Any) -> int | None:
    """Return the number, or None where Slurm writes 0 for none."""
    return number(value) or None


def text(value: Any, longest: int | None = 255) -> str | None:
    """Return the text cut to the contract's length, or None for Slurm's blank values."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:longest] if abs(value) <= _LARGEST else None
    if not isinstance(value, str) or value in BLANK:
        return None
    return _UNFIT.sub("\ufffd", value[:longest])


def reason(value: Any) -> str | None:
    """Return why a job is in its state, or None where Slurm writes "None"."""
    return None if value == "None" else text(value)


def time(value: Any) -> str | None:
    """Return epoch seconds as RFC 3339, or None if unset or past the contract's end of time."""
    seconds = positive(value)
    return None if seconds is None or seconds >= YEAR_2200 else rfc3339(seconds)


def state(value: Any) -> str | None:
    """Return the state with its flags after a ``+``. From v0.0.40 on Slurm writes a list."""
    if isinstance(value, dict):  # the accounting database's form
        value = value.get("current")
    if isinstance(value, list):
        return text("+".join(word for word in value if isinstance(word, str)))
    return text(value) if isinstance(value, str) else None


def exit_of(value: Any) -> tuple[int | None, int | None]:
    """Return exit code and signal of a raw wait status, or of an object from v0.0.39 on."""
    # An object with "set" is a boxed wait status. One without has the two values apart.
    if isinstance(value, dict) and "set" not in value:
        signal = value.get("signal")
        signal = signal if isinstance(signal, dict) else {}
        return number(value.get("return_code")) or 0, number(
            signal.get("id", signal.get("signal_id"))
        ) or 0
    status = number(value)
    return (None, None) if status is None else (status >> 8 & 0xFF, status & 0x7F)


def gres_gpus(gres: Any) -> int:
    """Count the GPUs in ``gpu:2`` or ``gpu:a100:4(S:0-1)``, or in a list of such texts."""
    texts = gres if isinstance(gres, list) else [gres]
    return sum(int(count) for one in texts for count in _GPUS.findall(text(one, None) or ""))


def resources(tres: Any) -> dict[str, int]:
    """Parse ``cpu=4,mem=1.50G,node=1,gres/gpu:a100=2`` into ``cpus``, ``memory_mb``, ``gpus``."""
    parts = dict(part.partition("=")[::2] for part in (text(tres, None) or "").split(","))
    found: dict[str, int] = {}
    if _COUNT.fullmatch(parts.get("cpu", "")):
        found["cpus"] = int(parts["cpu"])
    size = _SIZE.fullmatch(parts.get("mem", ""))
    if size:
        found["memory_mb"] = round(float(size[1]) * _MEBIBYTES[size[2]])
    counts = {name: int(count) for name, count in parts.items() if _COUNT.fullmatch(count)}
    gpus = gpus_of(counts, "gres/gpu")
    return {**found, "gpus": gpus} if gpus else found


def gpus_of(counts: dict[str, int], name: str) -> int:
    """Return the GPUs in TRES counts. ``name`` has all of them, ``name:TYPE`` those of a type."""
    # The entry without a type is absent where AccountingStorageTRES names the types only. Adding
    # all entries would count twice.
    typed = sum(count for one, count in counts.items() if one.startswith(f"{name}:"))
    return counts.get(name) or typed
