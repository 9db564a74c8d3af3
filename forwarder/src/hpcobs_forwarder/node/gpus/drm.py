"""Device files of AMD GPUs: ``/dev/dri/renderD128`` and up, by each GPU's PCI address."""

from __future__ import annotations

import re
from typing import NamedTuple

from hpcobs_forwarder.node.cgroups import files

FIRST_RENDER_MINOR = 128
"""The kernel numbers render devices from here on (include/drm/drm_file.h)."""

_RENDER = re.compile(r"renderD(\d+)")
_ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)


class DrmDevice(NamedTuple):
    """The render device's number, and all device files of one GPU."""

    minor: int | None = None
    files: frozenset[str] = frozenset()


class Drm:
    """The node's render devices, as ``root`` shows them."""

    def __init__(self, root: str) -> None:
        """Read nothing yet."""
        self._root = root

    def by_address(self, address: object) -> DrmDevice:
        """Return the device files of the GPU at a PCI address such as ``0000:c1:00.0``."""
        match = _ADDRESS.fullmatch(address.strip()) if isinstance(address, str) else None
        if match is None:
            return DrmDevice()
        path = f"{int(match[1] or '0', 16):04x}:{match[2].lower()}"
        names = files.names(f"{self._root}/sys/bus/pci/devices/{path}/drm")
        minors = [int(found[1]) for found in map(_RENDER.fullmatch, names) if found]
        # A GPU in partitions has several render devices at one address.
        if len(minors) != 1:
            return DrmDevice()
        return DrmDevice(minors[0], frozenset(f"/dev/dri/{name}" for name in names))

    def by_minor(self, minor: int) -> DrmDevice:
        """Return the device file of the render device with this number."""
        return DrmDevice(minor, frozenset({f"/dev/dri/renderD{minor}"}))

    def in_order(self, count: int) -> list[DrmDevice]:
        """Return the devices of ``count`` GPUs of which no address is known, in their order.

        Return none where the render devices are not exactly those of the GPUs, numbered from 128.
        """
        names = files.names(f"{self._root}/dev/dri")
        minors = sorted(int(found[1]) for found in map(_RENDER.fullmatch, names) if found)
        expected = list(range(FIRST_RENDER_MINOR, FIRST_RENDER_MINOR + count))
        # Without any device file, nothing contradicts the order.
        return [self.by_minor(minor) for minor in expected] if minors in ([], expected) else []


def placed(drm: Drm, found: list[DrmDevice]) -> list[DrmDevice]:
    """Return ``found``, or the devices in the library's order if it has no address at all."""
    if any(device.minor is not None for device in found):
        return found
    return drm.in_order(len(found)) or found
