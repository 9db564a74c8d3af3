"""Read the order of a node's GPUs from gres.conf, or from the output of ``slurmd -G``.

Slurm's index of a GPU is its place in the list that slurmd makes at its start, whatever the number
in the name of the device file. ``Index=`` in slurmd's output is that number, and not the place.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hpcobs_forwarder.node.hostlist import expand

_LISTED = re.compile(r"\bGres Name=(\S+) .*?\bCount=(\d+) (?:.*? )?File=(\S+)")
_TWO_BRACKETS = re.compile(r"\][^,\s]*\[")


class GresError(Exception):
    """The file does not show the order of the GPUs. The text is the reason."""


class GpuOrder(NamedTuple):
    """The device files of each GPU in Slurm's order.

    With ``is_detected`` slurmd finds the GPUs itself and chooses the order. Then ``devices`` are
    those that gres.conf names, or empty for all.
    """

    devices: tuple[frozenset[str], ...]
    is_detected: bool = False


def listed_order(output: str) -> GpuOrder | None:
    """Return the order in the output of ``slurmd -G``, or None if it lists no GPU.

    Raise GresError if a line has neither one GPU nor one GPU for each file.
    """
    devices: list[frozenset[str]] = []
    for match in _LISTED.finditer(output):
        name, count, files = match[1], int(match[2]), expand(match[3])
        if name == "gpu" and count:
            devices += _devices(files, count)
    return GpuOrder(tuple(devices)) if devices else None


def configured_order(text: str, node: str) -> GpuOrder:
    """Return the order of the GPUs that gres.conf gives to ``node``.

    Raise GresError if the file names none, or if slurm.conf decides about their order.
    """
    lines = [fields for fields in map(_fields, _lines(text)) if _is_of(fields, node)]
    detect = _detection(lines)
    gpus = [fields for fields in lines if fields.get("name", "").lower() == "gpu"]
    if len({fields.get("type", "") for fields in gpus}) > 1 or any("links" in one for one in gpus):
        raise GresError("it names several Types or Links, which slurmd orders by slurm.conf")
    if detect:
        files = [file for fields in gpus for file in _files(fields)]
        return GpuOrder(tuple(frozenset({file}) for file in files), is_detected=True)
    devices = [device for fields in gpus for device in _configured(fields)]
    if not devices:
        raise GresError(f"it names no GPU of {node}")
    # MIG devices share the file of their GPU.
    if len(set(devices)) < len(devices):
        raise GresError("it names a device file twice")
    return GpuOrder(tuple(devices))


def _devices(files: list[str], count: int) -> list[frozenset[str]]:
    if len(files) == count:
        return [frozenset({file}) for file in files]
    if count == 1:
        return [frozenset(files)]  # a MIG device has several files
    raise GresError(f"{count} GPUs have {len(files)} files")


def _configured(fields: dict[str, str]) -> list[frozenset[str]]:
    if "multiplefiles" in fields:
        return [frozenset(_files(fields))]
    files = _files(fields)
    if not files:
        raise GresError("a line of a GPU has no File")
    return _devices(files, int(fields.get("count", len(files))))


def _files(fields: dict[str, str]) -> list[str]:
    text = fields.get("multiplefiles") or fields.get("file", "")
    if _TWO_BRACKETS.search(text):
        raise GresError(f"the file names {text} cannot be parsed")
    return expand(text)


def _detection(lines: list[dict[str, str]]) -> bool:
    """Return whether AutoDetect is on. A node's own line has precedence over the global one."""
    found = [fields for fields in lines if "autodetect" in fields]
    found.sort(key=lambda fields: "nodename" in fields)
    return bool(found) and found[-1]["autodetect"].lower() != "off"


def _lines(text: str) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in text.replace("\\\n", " ").splitlines()]
    if any(line.lower().startswith("include") for line in lines):
        raise GresError("it includes another file")
    return list(filter(None, lines))


def _fields(line: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in line.split())
    return {name.lower(): value.strip('"') for name, _, value in pairs}


def _is_of(fields: dict[str, str], node: str) -> bool:
    names = fields.get("nodename")
    if names is None:
        return True
    if _TWO_BRACKETS.search(names):
        raise GresError(f"NodeName={names} cannot be parsed")
    return node in expand(names)
