"""Finding out how cgroups are mounted, and where Slurm keeps its jobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.readers.cgroup_v1 import CgroupV1
from hpcobs_forwarder.readers.cgroup_v2 import CgroupV2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.readers.layout import Layout

LOOK_EVERY = 6
"""Passes between two looks for Slurm's folders: jobs come and go, slurmd rarely."""


def layouts_in(root: str, node: str) -> list[Layout]:
    """The cgroup versions mounted below ``root``, whether or not Slurm uses them."""
    mount = f"{root}/sys/fs/cgroup"
    if os.path.exists(f"{mount}/cgroup.controllers"):
        return [CgroupV2(mount, node)]
    return [CgroupV1(mount, node, f"{root}/proc"), CgroupV2(f"{mount}/unified", node)]


class Discovery:
    """The layouts with Slurm's folders in them; looked for again while there are none."""

    def __init__(self, root: str, node: str) -> None:
        """Nothing is read yet."""
        self._root = root
        self._node = node
        self._all: Sequence[Layout] = ()
        self._used: list[Layout] = []
        self._passes = 0

    def layouts(self) -> Sequence[Layout]:
        """The layouts to read in this pass."""
        if not self._used:
            self._all = layouts_in(self._root, self._node)
        if not self._used or self._passes % LOOK_EVERY == 0:
            self._used = [layout for layout in self._all if layout.look_again()]
        self._passes += 1
        return self._used
