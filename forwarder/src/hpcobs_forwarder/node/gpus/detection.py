"""Find the GPU vendors of this node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.gpus.time_limit import TimeLimited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.node.gpus.readings import GpuReader

_DEVICES = {"nvidia": "dev/nvidiactl", "amd": "dev/kfd"}


class Gpus:
    """The readers for ``wanted`` (auto, nvidia, amd, none).

    ``auto`` goes by the device files.
    """

    def __init__(self, wanted: str, root: str, *, every_pass: bool = False) -> None:
        """Check nothing yet. ``every_pass`` also reads slow tools in each pass."""
        self._wanted = wanted
        self._root = root
        self._every_pass = every_pass
        self._readers: dict[str, GpuReader] = {}

    def __iter__(self) -> Iterator[GpuReader]:
        """Return the readers of the vendors whose device files exist."""
        # Checked at each pass: at boot a driver may load after the forwarder has started.
        for vendor, device in _DEVICES.items():
            if vendor not in self._readers and self._is_there(vendor, device):
                self._readers[vendor] = self._reader(vendor)
        return iter(list(self._readers.values()))

    def _is_there(self, vendor: str, device: str) -> bool:
        if self._wanted == "auto":
            return os.path.exists(f"{self._root}/{device}")
        return self._wanted == vendor

    def _reader(self, vendor: str) -> GpuReader:
        if vendor == "nvidia":
            return _nvidia(self._root)
        return _amd(self._root, every_pass=self._every_pass)


def _nvidia(root: str) -> GpuReader:
    # Imported here: a node without GPUs saves the memory.
    from hpcobs_forwarder.node.gpus.nvidia import NvidiaGpus

    return TimeLimited(NvidiaGpus(root=root))


def _amd(root: str, *, every_pass: bool) -> GpuReader:
    from hpcobs_forwarder.node.gpus.amd import AmdGpus
    from hpcobs_forwarder.node.gpus.rocm_smi import RocmSmi

    # rocm-smi only as a substitute: a call costs a third of a CPU second.
    library = TimeLimited(AmdGpus(root=root))
    command = TimeLimited(RocmSmi(every=1, root=root) if every_pass else RocmSmi(root=root))
    return command if library.missing() and not command.missing() else library
