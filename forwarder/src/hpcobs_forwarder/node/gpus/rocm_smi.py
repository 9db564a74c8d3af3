"""AMD GPUs by the command ``rocm-smi --json``, where amdsmi is not installed."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from hpcobs_forwarder.node.gpus.amd import number
from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading

_COMMANDS = ("/opt/rocm/bin/rocm-smi", "/usr/bin/rocm-smi")
_ASKED = ("--showuse", "--showmeminfo", "vram", "--showpower", "--showtemp", "--showuniqueid")
_TIME_LIMIT_SECONDS = 5
_CARD = re.compile(r"card(\d+)")


class RocmSmi:
    """The node's AMD GPUs. A call costs a third of a CPU second, so one pass in six makes it."""

    name = "amd"
    unread = ()

    def __init__(self, command: str | None = None, every: int = 6) -> None:
        """``every`` passes the command is run once."""
        self._command = command or next(filter(os.path.exists, _COMMANDS), _COMMANDS[0])
        self._every = every
        self._passes = 0

    def missing(self) -> str | None:
        """What is missing, and how to mend it."""
        if os.access(self._command, os.X_OK):
            return None
        return f"there is no {self._command}; install amdsmi or rocm-smi"

    def read(self) -> list[GpuReading]:
        """The GPUs, in one pass of ``every``, otherwise none; GpuError if the command fails."""
        self._passes += 1
        if self._passes % self._every != 1 % self._every:
            return []
        return parse(self._run())

    def _run(self) -> bytes:
        import subprocess

        try:
            return subprocess.run(  # noqa: S603 - a fixed command
                [self._command, *_ASKED, "--json"],
                check=True,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_TIME_LIMIT_SECONDS,
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise GpuError(f"rocm-smi: {error}") from error


def parse(output: bytes) -> list[GpuReading]:
    """The GPUs in the output of ``rocm-smi --json``."""
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
    """The first field whose name ends so; ROCm's versions differ in how they begin."""
    for ending in endings:
        for name, answer in fields.items():
            if name.endswith(ending):
                return answer
    return None
