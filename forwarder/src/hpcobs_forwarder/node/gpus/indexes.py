"""Match Slurm's GPU indexes with devices.

An index is a place in slurmd's list of device files. It is neither NVML's index nor the number of
the device file, although the three agree on most nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs_forwarder.node.gpus.drm import FIRST_RENDER_MINOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.node.gpus.claims import Claim
    from hpcobs_forwarder.node.gpus.gres_conf import GpuOrder
    from hpcobs_forwarder.node.gpus.mapping import NodeGpus
    from hpcobs_forwarder.node.gpus.readings import GpuReading
    from hpcobs_forwarder.node.gpus.slurm_order import SlurmGpus, SlurmOrder
    from hpcobs_forwarder.node.records import JobRecord

_FIRST_MINOR = {"nvidia": 0, "amd": FIRST_RENDER_MINOR}


def by_index(
    node: NodeGpus, record: JobRecord | None, slurm: SlurmGpus, claims: Sequence[Claim]
) -> tuple[list[GpuReading], str]:
    """Return the GPUs of those claims that are certain, and why the others are not."""
    indexes = [claim.slurm_index for claim in claims if claim.slurm_index is not None]
    if not indexes:
        return [], "Slurm's variables contradict each other"
    known = slurm.of_record(record)
    is_listed = known.order is not None and not known.order.is_detected
    if not is_listed and not node.is_partial and sorted(indexes) == list(range(len(node.readings))):
        return list(node.readings), ""  # all GPUs of the node, in whatever order
    places = _places(node, known)
    found = [_at(places, index) or _by_render_minor(node.readings, index) for index in indexes]
    reason = (
        f"{known.source} has no such GPU, or it cannot be read"
        if is_listed
        else f"the order of Slurm's GPUs is not certain ({known.source})"
    )
    return [reading for reading in found if reading is not None], reason


def _at(places: Sequence[GpuReading | None], index: int) -> GpuReading | None:
    return places[index] if index < len(places) else None


def _places(node: NodeGpus, known: SlurmOrder) -> Sequence[GpuReading | None]:
    """Return the GPUs in Slurm's order, None for one that is not certain. Empty if unknown."""
    order = known.order
    if order is None:
        # Only where nothing of Slurm's configuration can be seen. A gres.conf that was found and
        # not understood may leave out a GPU, and so shift the indexes.
        return [] if known.is_found else _in_library_order(node)
    if order.is_detected:
        return _detected(node, order)
    return [_with_files(node.readings, files) for files in order.devices]


def _with_files(readings: Sequence[GpuReading], files: frozenset[str]) -> GpuReading | None:
    """Return the one GPU or MIG device that the device files are of."""
    matches = [
        one
        for one in readings
        # A MIG device has all its files in the list. A whole GPU has no capability files there.
        if one.files
        and (one.files <= files if one.is_mig else one.files & files and not _has_mig(files))
    ]
    return matches[0] if len(matches) == 1 else None


def _has_mig(files: frozenset[str]) -> bool:
    return any("/nvidia-caps/" in file for file in files)


def _in_library_order(node: NodeGpus) -> list[GpuReading]:
    """Return the GPUs in their library's order, if the device files have the same and no gap."""
    gpus = _in_agreed_order(node)
    first = [one.minor - _FIRST_MINOR[one.gpu_vendor] for one in gpus if one.minor is not None]
    return gpus if first == list(range(len(gpus))) else []


def _detected(node: NodeGpus, order: GpuOrder) -> list[GpuReading]:
    """Return the GPUs that slurmd detects, if it has no choice in their order.

    AutoDetect orders by NVLinks or by device file, and leaves out GPUs of another type.
    """
    gpus = _in_agreed_order(node)
    if len({one.memory_total_mb for one in gpus}) > 1:
        return []
    if not order.devices:
        return gpus
    listed = frozenset().union(*order.devices)
    chosen = [one for one in gpus if one.files & listed]
    return chosen if len(chosen) == len(listed) else []


def _in_agreed_order(node: NodeGpus) -> list[GpuReading]:
    """Return all GPUs by the library's index, if their device files are in the same order."""
    gpus = [one for one in node.readings if one.position is not None and one.minor is not None]
    if node.is_partial or len(gpus) < len(node.readings) or len({o.gpu_vendor for o in gpus}) > 1:
        return []  # a GPU is missing, is in MIG mode, has no number, or is of another vendor
    gpus.sort(key=lambda one: one.position or 0)
    minors = [one.minor or 0 for one in gpus]
    return gpus if minors == sorted(set(minors)) else []


def by_minor(readings: Sequence[GpuReading], minor: int | None) -> list[GpuReading]:
    """Return the whole GPUs with this number in the name of their device file."""
    return [one for one in readings if one.minor == minor and not one.is_mig]


def _by_render_minor(readings: Sequence[GpuReading], index: int) -> GpuReading | None:
    # No node has so many GPUs that an index could be meant.
    if index < FIRST_RENDER_MINOR:
        return None
    matches = by_minor([one for one in readings if one.gpu_vendor == "amd"], index)
    return matches[0] if len(matches) == 1 else None
