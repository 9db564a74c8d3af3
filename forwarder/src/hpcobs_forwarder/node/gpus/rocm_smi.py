"""Read AMD GPUs by the command ``rocm-smi --json``, where amdsmi is not installed."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from hpcobs_forwarder.node.gpus.amd import number
from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading

_COMMANDS = ("/opt/rocm/bin/rocm-smi", "/usr/bin/rocm-smi")
_OPTIONS = ("--showuse", "--showmeminfo", "vram", "--showpower", "--showtemp", "--showuniqueid")
_TIME_LIMIT_SECONDS = 5  # below that of TimeLimited, which cannot stop the process
_CARD = re.compile(r"card(\d+)")


class RocmSmi:
    """The node's AMD GPUs, read in one pass of six: a call costs a third of a CPU second."""

    name = "amd"
    unread = ()

    def __init__(self, command: str | None = None, every: int = 6) -> None:
        """Run the command once in ``every`` passes."""
        self._command = command or next(filter(os.path.exists, _COMMANDS), _COMMANDS[0])
        self._every = every
        self._passes = 0

    def missing(self) -> str | None:
        """Return what is missing and how to fix it, or None if the command exists."""
        if os.access(self._command, os.X_OK):
            return None
        return f"{self._command} does not exist; install amdsmi or rocm-smi"

    def read(self) -> list[GpuReading]:
        """Read the GPUs in one pass of ``every``. Raise GpuError if the command fails."""
        self._passes += 1
        # `1 % every` makes the first pass read, also where every is 1.
        if self._passes % self._every != 1 % self._every:
            return []
        return parse(self._run())

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


def parse(output: bytes) -> list[GpuReading]:
    """Parse the output of ``rocm-smi --json``. Raise GpuError if it is malformed."""
    try:
        cards: dict[str, dict[str, Any]] = json.loads(output)
        found = [(_CARD.fullmatch(name), fields) for name, fields in cards.items()]
    except (ValueError, AttributeError) as error:
        raise GpuError(f"rocm-smi: {error}") from error
    return [_reading(int(card[1]), fields) for card, fields in found if card]


def _reading(index: int, fields: dict[str, Any]) -> GpuReading:
    used = number(_first(fields, "VRAM Total Used Memory (B)"))
    total = number(_first(fields, "VRAM Total Memory (B)"))
    return GpuReading(
        gpu_id=str(index),
        gpu_vendor="amd",
        names=frozenset({str(index), str(fields.get("Unique ID", index))}),
        utilization_percent=number(_first(fields, "GPU use (%)")),
        memory_used_mb=None if used is None else int(used) >> 20,
        memory_total_mb=None if total is None else int(total) >> 20,
        power_watts=number(_first(fields, "Package Power (W)")),
        temperature_celsius=number(
            _first(fields, "Temperature (Sensor edge) (C)", "Temperature (Sensor junction) (C)")
        ),
    )


def _first(fields: dict[str, Any], *endings: str) -> object:
    """Return the first field whose name has one of these endings, or None."""
    # The beginnings differ between ROCm versions: "Average Graphics Package Power (W)", "Current
    # Socket Graphics Package Power (W)".
    for ending in endings:
        for name, value in fields.items():
            if name.endswith(ending):
                return value
    return None
