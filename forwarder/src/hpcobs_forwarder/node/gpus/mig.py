"""Names and device files of MIG devices.

A MIG device needs three device files: that of its GPU, and a capability file for each of its GPU
instance and its compute instance. Their numbers are in /proc/driver/nvidia-caps/mig-minors, one
``gpu0/gi7/ci0/access 66`` to a line (NVIDIA's MIG guide, "Device Nodes and Capabilities").
"""

from __future__ import annotations

_CAPABILITY = "/dev/nvidia-caps/nvidia-cap"


class MigMinors:
    """The numbers of the capability files, read once: the driver sets them when it is loaded."""

    def __init__(self, root: str) -> None:
        """Read nothing yet."""
        self._path = f"{root}/proc/driver/nvidia-caps/mig-minors"
        self._minors: dict[str, str] | None = None

    def files(self, gpu: int | None, instance: int | None, compute: int | None) -> frozenset[str]:
        """Return the capability files of a MIG device, or none if any number is unknown."""
        if self._minors is None:
            self._minors = _read(self._path)
        of_instance = self._minors.get(f"gpu{gpu}/gi{instance}/access")
        of_compute = self._minors.get(f"gpu{gpu}/gi{instance}/ci{compute}/access")
        if of_instance is None or of_compute is None:
            return frozenset()
        return frozenset({_CAPABILITY + of_instance, _CAPABILITY + of_compute})


def _read(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="ascii", errors="replace") as lines:
            fields = [line.split() for line in lines]
    except OSError:
        return {}
    return {field[0]: field[1] for field in fields if len(field) > 1}


def alias(gpu_uuid: str | None, instance: int | None, compute: int | None) -> list[str]:
    """Return the name that Slurm and drivers before 470 use for a MIG device, if it is known."""
    if gpu_uuid is None or instance is None or compute is None:
        return []
    return [f"MIG-{gpu_uuid}/{instance}/{compute}"]
