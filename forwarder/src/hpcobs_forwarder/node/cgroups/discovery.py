"""Find out how cgroups are mounted, and where Slurm keeps its jobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups.cgroup_v1 import CgroupV1
from hpcobs_forwarder.node.cgroups.cgroup_v2 import CgroupV2

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hpcobs_forwarder.node.cgroups.layout import Layout

SEARCH_EVERY = 6
"""Passes between two searches for Slurm's folders. They change only when slurmd restarts."""


def layouts_in(root: str, node: str) -> list[Layout]:
    """Return the cgroup versions mounted below ``root``, whether or not Slurm uses them."""
    mount = f"{root}/sys/fs/cgroup"
    # cgroup.controllers exists only in a version 2 hierarchy. A hybrid host mounts one at `unified`
    # beside version 1, and Slurm's folders may be in either.
    if os.path.exists(f"{mount}/cgroup.controllers"):
        return [CgroupV2(mount, node)]
    return [CgroupV1(mount, node, f"{root}/proc"), CgroupV2(f"{mount}/unified", node)]


class Discovery:
    """The layouts that contain Slurm's folders. While there are none, every pass searches again.

    ``used`` has those of the last pass. ``is_fresh`` is true if that pass searched for them.
    """

    def __init__(self, root: str, node: str) -> None:
        """Read nothing yet."""
        self._root = root
        self._node = node
        self._all: Sequence[Layout] = ()
        self.used: list[Layout] = []
        self.is_fresh = False
        self._nodes: Collection[str] = frozenset()
        self._passes = 0

    def layouts(self, nodes: Collection[str] = frozenset()) -> Sequence[Layout]:
        """Return the layouts to read in this pass, with the folders of ``nodes`` too."""
        if not self.used:
            # On a node without jobs, cgroups may also be mounted later than the forwarder starts.
            self._all = layouts_in(self._root, self._node)
        self.is_fresh = not self.used or nodes != self._nodes or self._passes % SEARCH_EVERY == 0
        if self.is_fresh:
            self._nodes = nodes
            self.used = [layout for layout in self._all if layout.search(nodes)]
        self._passes += 1
        return self.used

    def expire(self) -> None:
        """Search again in the next pass."""
        self._passes = 0
