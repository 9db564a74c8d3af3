"""Read the order of a node's GPUs from gres.conf, or from the output of ``slurmd -G``.

Slurm's index of a GPU is its place in the list that slurmd makes at its start, whatever the number
in the name of the device file. ``Index=`` in slurmd's output is that number, and not the place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.node.hostlist import expand
from hpcobs_forwarder.slurm_conf import parsed

if TYPE_CHECKING:
    from hpcobs_forwarder.slurm_conf import SlurmConf

_LISTED = re.compile(r"\bGres Name=(\S+) .*?\bCount=(\d+) (?:.*? )?File=(\S+)")
_MOST_NAMES = 65_536
"""Slurm's own limit for one range (MAX_RANGE in hostlist.c)."""

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
    conf = parsed(text)
    if conf.unread:
        raise GresError("it includes another file")
    described = gpus_of_node(conf, node)
    gpus = described.lines
    if len({fields.get("type", "") for fields in gpus}) > 1 or any("links" in one for one in gpus):
        raise GresError("it names several Types or Links, which slurmd orders by slurm.conf")
    if described.detectors:
        files = [file for fields in gpus for file in files_in(fields)]
        return GpuOrder(tuple(frozenset({file}) for file in files), is_detected=True)
    devices = [device for fields in gpus for device in _configured(fields)]
    if not devices:
        raise GresError(f"it names no GPU of {node}")
    # MIG devices share the file of their GPU.
    if len(set(devices)) < len(devices):
        raise GresError("it names a device file twice")
    return GpuOrder(tuple(devices))


class DescribedGpus(NamedTuple):
    """What gres.conf has for one node: the values of AutoDetect, and the lines of GPUs."""

    detectors: frozenset[str]
    lines: list[dict[str, str]]


def gpus_of_node(conf: SlurmConf, node: str) -> DescribedGpus:
    """Return what gres.conf has for ``node``. Raise GresError if its lists cannot be parsed."""
    lines = [line for line in conf.lines if _is_of(line, node)]
    detecting = [line for line in lines if "autodetect" in line]
    own = [line["autodetect"] for line in detecting if "nodename" in line]
    common = [line["autodetect"] for line in detecting if "nodename" not in line]
    # A node's own AutoDetect has precedence over the global one (gres.conf(5)).
    chosen = [*conf.all("AutoDetect"), *common, *own][-1:]
    detectors = {part.strip().lower() for text in chosen for part in text.split(",")}
    gpus = [line for line in lines if line.get("name", "").lower() == "gpu"]
    return DescribedGpus(frozenset(detectors - {"off", ""}), gpus)


def files_in(fields: dict[str, str]) -> list[str]:
    """Return the device files that a line names. Raise GresError if they cannot be parsed."""
    return _expanded(fields.get("multiplefiles") or fields.get("file", ""), "the file names ")


def _is_of(fields: dict[str, str], node: str) -> bool:
    names = fields.get("nodename")
    return names is None or node in _expanded(names, "NodeName=")


def _expanded(text: str, what: str) -> list[str]:
    try:
        if not _TWO_BRACKETS.search(text):
            return expand(text, _MOST_NAMES)
    except ValueError:
        pass
    raise GresError(f"{what}{text} cannot be parsed")


def _devices(files: list[str], count: int) -> list[frozenset[str]]:
    if len(files) == count:
        return [frozenset({file}) for file in files]
    if count == 1:
        return [frozenset(files)]  # a MIG device has several files
    raise GresError(f"{count} GPUs have {len(files)} files")


def _configured(fields: dict[str, str]) -> list[frozenset[str]]:
    if "multiplefiles" in fields:
        return [frozenset(files_in(fields))]
    files = files_in(fields)
    if not files:
        raise GresError("a line of a GPU has no File")
    return _devices(files, int(fields.get("count", len(files))))
