"""Read AMD GPUs by the command ``rocm-smi --json``, where amdsmi is not installed."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from hpcobs_forwarder.node.gpus.drm import Drm, placed
from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading
from hpcobs_forwarder.node.gpus.values import MOST_CELSIUS, MOST_PERCENT, MOST_WATTS, Values

_COMMANDS = ("/opt/rocm/bin/rocm-smi", "/usr/bin/rocm-smi")
_OPTIONS = (
    "--showuse",
    "--showmeminfo",
    "vram",
    "--showpower",
    "--showtemp",
    "--showuniqueid",
    "--showbus",
)
_TIME_LIMIT_SECONDS = 5  # below that of TimeLimited, which cannot stop the process
_CARD = re.compile(r"card(\d+)")


class RocmSmi:
    """The node's AMD GPUs, read in one pass of six: a call costs a third of a CPU second."""

    name = "amd"

    def __init__(self, command: str | None = None, every: int = 6, root: str = "") -> None:
        """Run the command once in ``every`` passes. ``root`` holds /sys and /dev."""
        self._command = command or next(filter(os.path.exists, _COMMANDS), _COMMANDS[0])
        self._every = every
        self._drm = Drm(root)
        self._passes = 0
        self.unread: list[str] = []
        self.is_partial = False

    def missing(self) -> str | None:
        """Return what is missing and how to fix it, or None if the command exists."""
        if os.access(self._command, os.X_OK):
            return None
        return f"{self._command} does not exist; install amdsmi or rocm-smi"

    def read(self) -> list[GpuReading]:
        """Read the GPUs in one pass of ``every``. Raise GpuError if the command fails."""
        self._passes += 1
        self.unread = []
        # `1 % every` makes the first pass read, also where every is 1.
        self.is_partial = self._passes % self._every != 1 % self._every
        if self.is_partial:
            return []
        readings, self.unread = parse(self._run(), self._drm)
        return readings

    def _run(self) -> bytes:
        import subprocess  # here, since most nodes never need it

        try:
            return subprocess.run(  # noqa: S603 - a fixed command
                [self._command, *_OPTIONS, "--json"],
                check=True,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_TIME_LIMIT_SECONDS,
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise GpuError(f"rocm-smi: {error}") from error


def parse(output: bytes, drm: Drm) -> tuple[list[GpuReading], list[str]]:
    """Parse the output of ``rocm-smi --json``: the readings, and what could not be read.

    Raise GpuError if the output is malformed.
    """
    try:
        cards: dict[str, Any] = json.loads(output)
        found = [(_CARD.fullmatch(name), fields) for name, fields in cards.items()]
    except (ValueError, AttributeError, RecursionError) as error:
        raise GpuError(f"rocm-smi: {error}") from error
    known = [(int(card[1]), fields) for card, fields in found if card and isinstance(fields, dict)]
    known.sort(key=lambda card: card[0])
    devices = placed(drm, [drm.by_address(_first(fields, "PCI Bus")) for _, fields in known])
    readings: list[GpuReading] = []
    unread: list[str] = []
    for (index, fields), device in zip(known, devices):
        values = Values(f"GPU {index}")
        readings.append(
            _reading(fields, values)._replace(
                gpu_id=str(index), position=index, minor=device.minor, files=device.files
            )
        )
        unread += values.dropped
    return readings, unread


def _reading(fields: dict[str, Any], values: Values) -> GpuReading:
    used, total = values.memory(
        _first(fields, "VRAM Total Used Memory (B)"),
        _first(fields, "VRAM Total Memory (B)"),
        unit="B",
        per_mb=1 << 20,
    )
    unique_id = _first(fields, "Unique ID")
    celsius = (
        values.within("temperature_celsius", MOST_CELSIUS, _first(fields, name), "C")
        for name in ("Temperature (Sensor edge) (C)", "Temperature (Sensor junction) (C)")
    )
    return GpuReading(
        gpu_id="",
        gpu_vendor="amd",
        names=_names(unique_id),
        utilization_percent=values.within(
            "utilization_percent", MOST_PERCENT, _first(fields, "GPU use (%)"), "%"
        ),
        memory_used_mb=used,
        memory_total_mb=total,
        power_watts=values.within(
            "power_watts", MOST_WATTS, _first(fields, "Package Power (W)"), "W"
        ),
        temperature_celsius=next((one for one in celsius if one is not None), None),
    )


def _names(unique_id: object) -> frozenset[str]:
    """Return the names of a GPU whose unique id is 0x18f1: ROCm calls it GPU-18f1."""
    text = str(unique_id or "").lower()
    if not text.startswith("0x"):
        return frozenset()
    return frozenset({text, f"GPU-{text[2:]}"})


def _first(fields: dict[str, Any], ending: str) -> object:
    """Return the first field whose name has this ending, or None."""
    # The beginnings differ between ROCm versions: "Average Graphics Package Power (W)", "Current
    # Socket Graphics Package Power (W)".
    for name, value in fields.items():
        if name.endswith(ending):
            return value
    return None
