"""Parse Slurm's JSON values, whose form differs between versions of its data parser."""

from __future__ import annotations

import re
from typing import Any

from hpcobs_forwarder.clock import rfc3339

# NO_VAL and INFINITE in 32 and 64 bits (slurm.h). The 16-bit ones are left out: no field that is
# read here is that narrow, and 65534 can be a real value.
_NONE = frozenset({0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFE, 0xFFFFFFFFFFFFFFFF})

YEAR_2200 = 7_258_118_400
"""The end of the contract's times, in seconds since the epoch."""

_BLANK = frozenset({"", "(null)", "None assigned", "Unknown", "N/A"})
_SIZE = re.compile(r"([\d.]+)([KMGTP]?)")
_GPUS = re.compile(r"\bgpu(?::[^:,(]+)?:(\d+)")
_MEBIBYTES = {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}


def number(value: Any) -> int | None:
    """Return the number, or None. From v0.0.39 on it is ``{"set", "infinite", "number"}``."""
    if isinstance(value, dict):
        if value.get("infinite") or not value.get("set"):
            return None
        value = value.get("number")
    # bool is a subclass of int.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return None if value in _NONE or value < 0 else int(value)


def positive(value: Any) -> int | None:
    """Return the number, or None where Slurm writes 0 for none."""
    return number(value) or None


def text(value: Any, longest: int | None = 255) -> str | None:
    """Return the text cut to the contract's length, or None for Slurm's blank values."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value[:longest] if isinstance(value, str) and value not in _BLANK else None


def time(value: Any) -> str | None:
    """Return epoch seconds as RFC 3339, or None if unset or past the contract's end of time."""
    seconds = positive(value)
    return None if seconds is None or seconds >= YEAR_2200 else rfc3339(seconds)


def state(value: Any) -> str | None:
    """Return the state with its flags after a ``+``. From v0.0.40 on Slurm writes a list."""
    if isinstance(value, list):
        return "+".join(map(str, value)) or None
    return text(value)


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
    if parts.get("cpu", "").isdigit():
        found["cpus"] = int(parts["cpu"])
    size = _SIZE.fullmatch(parts.get("mem", ""))
    if size:
        found["memory_mb"] = round(float(size[1]) * _MEBIBYTES[size[2]])
    # `gres/gpu` is the sum of the entries with a type. It is absent where AccountingStorageTRES
    # names the types only.
    typed = [int(n) for name, n in parts.items() if name.startswith("gres/gpu:") and n.isdigit()]
    whole = parts.get("gres/gpu", "")
    gpus = int(whole) if whole.isdigit() else sum(typed)
    if gpus:
        found["gpus"] = gpus
    return found
