"""Check that Slurm's gres.conf describes this node's GPUs as they are."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.daemon.config import NODE
from hpcobs_forwarder.doctor.finding import Finding, ok, warning
from hpcobs_forwarder.doctor.settings import place, values
from hpcobs_forwarder.node.gpus.gres_conf import GresError, files_in, gpus_of_node
from hpcobs_forwarder.slurm_conf import SlurmConf, beside, read_conf, read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config

_NVIDIA = re.compile(r"nvidia\d+")
_AMD = re.compile(r"renderD\d+")
_DETECTORS = {"nvidia": {"nvml", "nvidia", "full"}, "amd": {"rsmi", "full"}}
_BEST = {"nvidia": "nvml", "amd": "rsmi"}


class _Gpus(NamedTuple):
    """What gres.conf has for this node."""

    detectors: frozenset[str]
    files: list[str]
    named: bool


def gpu_files(root: str) -> dict[str, list[str]]:
    """Return the device files of this node's GPUs by their vendor, as paths below ``/dev``."""
    top = root.rstrip("/")
    found = {
        "nvidia": _matching(f"{top}/dev", _NVIDIA, "/dev"),
        "amd": _matching(f"{top}/dev/dri", _AMD, "/dev/dri")
        if os.path.exists(f"{top}/dev/kfd")
        else [],
    }
    return {vendor: files for vendor, files in found.items() if files}


def _matching(folder: str, pattern: re.Pattern[str], shown: str) -> list[str]:
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    files = [entry for entry in entries if pattern.fullmatch(entry)]
    return [f"{shown}/{file}" for file in sorted(files, key=lambda name: (len(name), name))]


def examine(config: Config) -> Iterator[Finding]:
    """Check the settings for GPUs of a node that has some."""
    devices = gpu_files(config.root) if config.role == NODE and config.gpus != "none" else {}
    conf = read_slurm_conf(config.root) if devices else None
    if conf is None:
        return
    yield _listed(conf, "GresTypes", "gpu", "jobs can ask for GPUs")
    yield _listed(conf, "AccountingStorageTRES", "gres/gpu", "a job's GPUs are known on all nodes")
    path = beside(conf, "gres.conf")
    gres = read_conf(path)
    if gres is None:
        yield warning(f"{path} cannot be read", _write(conf, devices))
        return
    try:
        found = _of_node(gres, config.node)
    except GresError as error:
        yield warning(f"{path}: {error}", _write(conf, devices))
        return
    for vendor, files in devices.items():
        yield _described(conf, path, found, vendor, files)
    if not found.detectors:
        yield from _missing(config.root, path, found, conf)


def _listed(conf: SlurmConf, name: str, wanted: str, use: str) -> Finding:
    found = conf.last(name)
    in_lower_case = [value.lower() for value in values(found)]
    if any(value == wanted or value.startswith(f"{wanted}:") for value in in_lower_case):
        return ok(f"{name}={found}")
    line = f"{name}={','.join([*values(found), wanted])}"
    return warning(
        f"{conf.path} sets {name}={found}" if found else f"{conf.path} sets no {name}",
        f"write {line} in {place(conf)}, so that {use}; then restart slurmctld and every slurmd",
    )


def _of_node(gres: SlurmConf, node: str) -> _Gpus:
    described = gpus_of_node(gres, node)
    files = [file for line in described.lines for file in files_in(line)]
    return _Gpus(described.detectors, files, bool(described.lines))


def _described(conf: SlurmConf, path: str, found: _Gpus, vendor: str, files: list[str]) -> Finding:
    if found.detectors & _DETECTORS[vendor]:
        return ok(f"{vendor} GPUs: AutoDetect={','.join(sorted(found.detectors))} in gres.conf")
    left_out = [file for file in files if file not in found.files]
    if not left_out and not found.detectors:
        return ok(f"{vendor} GPUs: {path} names all {len(files)} device files")
    if found.detectors:
        problem = f"{path}: AutoDetect={','.join(sorted(found.detectors))} finds no {vendor} GPU"
    elif found.named and not found.files:
        problem = f"{path} names GPUs without their device files"
    elif found.files:
        problem = f"{path} leaves out {', '.join(left_out)}"
    else:
        problem = f"{path} describes no GPU of this node"
    return warning(problem, _write(conf, {vendor: files}))


def _missing(root: str, path: str, found: _Gpus, conf: SlurmConf) -> Iterator[Finding]:
    top = root.rstrip("/")
    absent = [file for file in found.files if not os.path.exists(f"{top}{file}")]
    if absent:
        yield warning(
            f"{path} names {', '.join(absent[:4])}, which this node does not have",
            _write(conf, gpu_files(root)),
        )


def _write(conf: SlurmConf, devices: dict[str, list[str]]) -> str:
    lines = " and ".join(
        f"AutoDetect={_BEST[vendor]} (or Name=gpu File={_folded(files)})"
        for vendor, files in devices.items()
    )
    return f"write {lines} in {place(conf, 'gres.conf')}, then restart every slurmd"


def _folded(files: list[str]) -> str:
    """Return the files as Slurm writes them: ``/dev/nvidia[0-3]``."""
    numbers = [int(re.sub(r".*?(\d+)$", r"\1", file)) for file in files]
    prefix = re.sub(r"\d+$", "", files[0])
    if len(files) == 1:
        return files[0]
    if numbers == list(range(numbers[0], numbers[0] + len(files))):
        return f"{prefix}[{numbers[0]}-{numbers[-1]}]"
    return f"{prefix}[{','.join(map(str, numbers))}]"
