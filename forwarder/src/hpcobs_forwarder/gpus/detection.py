"""Which vendors' GPUs the node has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.gpus.limited import Limited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.gpus.readings import GpuReader


def gpu_readers(wanted: str, root: str) -> Sequence[GpuReader]:
    """The readers for ``wanted`` (auto, nvidia, amd, none); auto goes by the device files."""
    readers: list[GpuReader] = []
    if wanted == "nvidia" or (wanted == "auto" and os.path.exists(f"{root}/dev/nvidiactl")):
        from hpcobs_forwarder.gpus.nvidia import NvidiaGpus

        readers.append(NvidiaGpus())
    if wanted == "amd" or (wanted == "auto" and os.path.exists(f"{root}/dev/kfd")):
        readers.append(_amd())
    return [Limited(reader) for reader in readers]


def _amd() -> GpuReader:
    from hpcobs_forwarder.gpus.amd import AmdGpus
    from hpcobs_forwarder.gpus.rocm_smi import RocmSmi

    library, command = AmdGpus(), RocmSmi()
    return command if library.missing() and not command.missing() else library
