"""The GPUs that Slurm gave to a job on this node, from the record of its Prolog.

Slurm gives a Prolog two lists of the same devices in the same order. SLURM_JOB_GPUS has indexes.
CUDA_VISIBLE_DEVICES, ROCR_VISIBLE_DEVICES and their like have a UUID for each MIG device, from
Slurm 25.11 on also for whole GPUs if AutoDetect=nvml found them, and the index otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.node.gpus.drm import FIRST_RENDER_MINOR

if TYPE_CHECKING:
    from hpcobs_forwarder.node.records import JobRecord

_UUID_PREFIXES = ("GPU-", "MIG-", "0X")


class Claim(NamedTuple):
    """One GPU that Slurm gave to a job: by UUID, else by index, else by its file's number.

    ``text`` is what Slurm called it. A claim that is only ``text`` cannot be matched.
    """

    text: str
    uuid: str | None = None
    slurm_index: int | None = None
    minor: int | None = None


def claims_of(record: JobRecord | None) -> list[Claim]:
    """Return the GPUs that the record names. An empty list if it names none."""
    if record is None:
        return []
    indexes, visible = record.gpus, record.visible_gpus
    if not indexes:
        # Slurm 20.11 sets no SLURM_JOB_GPUS, and numbers the others by their device files.
        return [_by_uuid(text) or _by_minor(text) for text in visible if _is_device(text)]
    if len(indexes) != len(visible):
        uuids = [claim for claim in map(_by_uuid, visible) if claim is not None]
        # Lists of different lengths have no pairs: only UUIDs are certain.
        return uuids if visible and len(uuids) == len(visible) else _alone(indexes, visible)
    return [_paired(index, name) for index, name in zip(indexes, visible)]


def _alone(indexes: tuple[str, ...], visible: tuple[str, ...]) -> list[Claim]:
    if visible:
        return [Claim(text) for text in indexes]
    return [_by_uuid(text) or _by_index(text) for text in indexes]


def _paired(index: str, visible: str) -> Claim:
    known = _by_uuid(visible) or _by_uuid(index)
    if known is not None:
        return known
    claim = _by_index(index)
    # Slurm writes the same index twice. Another number was set by somebody else. It does not matter
    # for the number of a render device, which cannot be an index.
    is_certain = index == visible or (claim.slurm_index or 0) >= FIRST_RENDER_MINOR
    return claim if is_certain else Claim(index)


def _by_uuid(text: str) -> Claim | None:
    return Claim(text, uuid=text) if text.upper().startswith(_UUID_PREFIXES) else None


def _by_index(text: str) -> Claim:
    return Claim(text, slurm_index=int(text)) if _is_number(text) else Claim(text)


def _by_minor(text: str) -> Claim:
    return Claim(text, minor=int(text))


def _is_device(text: str) -> bool:
    return _by_uuid(text) is not None or _is_number(text)


def _is_number(text: str) -> bool:
    # str.isdigit accepts digits of other scripts.
    return text.isascii() and text.isdigit()
