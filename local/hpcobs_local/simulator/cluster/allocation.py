"""The free CPUs, memory and GPUs of the simulated nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpcobs_local.simulator.cluster.hardware import Machine
    from hpcobs_local.simulator.cluster.workloads import Recipe


class Placement(NamedTuple):
    """A job's part of one node, with its GPUs there by Slurm's index."""

    node: str
    devices: tuple[str, ...] = ()


class _Free:
    """The free resources of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.cpus = machine.cpus
        self.memory_mb = machine.memory_mb
        self.devices = [str(index) for index in range(machine.gpus)]

    def fits(self, recipe: Recipe) -> bool:
        return (
            suits(self.machine, recipe)
            and self.cpus >= recipe.cpus
            and self.memory_mb >= recipe.memory_mb
            and len(self.devices) >= recipe.gpus
        )

    def take(self, recipe: Recipe) -> Placement:
        devices = tuple(self.devices[: recipe.gpus])
        self.devices = self.devices[recipe.gpus :]
        self.cpus -= recipe.cpus
        self.memory_mb -= recipe.memory_mb
        return Placement(self.machine.name, devices)

    def give_back(self, recipe: Recipe, devices: tuple[str, ...]) -> None:
        self.devices = sorted([*self.devices, *devices])
        self.cpus += recipe.cpus
        self.memory_mb += recipe.memory_mb


def suits(machine: Machine, recipe: Recipe) -> bool:
    """Return whether an empty ``machine`` could hold a node's part of the job."""
    return (
        machine.gpu_vendor is recipe.gpu_vendor
        and machine.gpus >= recipe.gpus
        and machine.cpus >= recipe.cpus
        and machine.memory_mb >= recipe.memory_mb
    )


class Allocations:
    """The cluster's free resources."""

    def __init__(self, machines: Iterable[Machine]) -> None:
        self._free = {machine.name: _Free(machine) for machine in machines}

    def place(self, recipe: Recipe) -> tuple[Placement, ...]:
        """Allocate the job's resources, or return an empty tuple if they are not free now."""
        fitting = [free for free in self._free.values() if free.fits(recipe)]
        if len(fitting) < recipe.nodes:
            return ()
        # The emptiest nodes first, as a scheduler that spreads load; the name breaks ties, so that
        # the same seed gives the same placement.
        fitting.sort(key=lambda free: (-free.cpus, free.machine.name))
        chosen = sorted(fitting[: recipe.nodes], key=lambda free: free.machine.name)
        return tuple(free.take(recipe) for free in chosen)

    def release(self, recipe: Recipe, placed: Iterable[Placement]) -> None:
        """Free the resources that ``place`` allocated."""
        for placement in placed:
            self._free[placement.node].give_back(recipe, placement.devices)

    def busy_cpus(self, node: str) -> int:
        """Return how many CPUs of the node are allocated to jobs."""
        free = self._free[node]
        return free.machine.cpus - free.cpus
