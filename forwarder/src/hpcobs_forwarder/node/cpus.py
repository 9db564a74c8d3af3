"""The node's CPUs: the kernel's, which are hardware threads, and Slurm's, which may be cores.

Slurm counts threads or cores, by ``CPUs=`` in the node's line of slurm.conf. A CPU set always holds
threads. So the size of a job's CPU set is twice its CPUs where Slurm counts cores of two threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups import files
from hpcobs_forwarder.node.host import read_cpus
from hpcobs_forwarder.node.hostlist import expand
from hpcobs_forwarder.slurm_conf import read_slurm_conf

if TYPE_CHECKING:
    from hpcobs_forwarder.slurm_conf import SlurmConf

_KNOWN_FOR_SECONDS = 600.0


class UnknownCpusError(ValueError):
    """Slurm may count threads or cores on this node, and nothing shows which."""


class NodeCpus:
    """The CPUs of the host below ``root``."""

    def __init__(self, root: str) -> None:
        """Read nothing yet."""
        self._root = root
        self._node: str | None = None
        self._threads_per_cpu: float | None = None
        self._until = float("-inf")
        self.online = 0

    def refresh(self, node: str | None) -> None:
        """Read the number of CPUs online of ``node``, which is None for one of several nodes.

        Raise OSError or ValueError, and keep no number then.
        """
        known, self._node = (self.online, self._node), node
        self.online = 0
        self.online = read_cpus(self._root)
        if known != (self.online, node):
            self._until = float("-inf")

    def of_threads(self, threads: float, now: float) -> float:
        """Return how many of Slurm's CPUs have ``threads`` threads. Raise UnknownCpusError."""
        if now >= self._until:
            # Rarely needed: the Prolog's record has the number for almost every job.
            self._threads_per_cpu = self._find()
            self._until = now + _KNOWN_FOR_SECONDS
        if self._threads_per_cpu is None:
            raise UnknownCpusError(
                "Slurm counts threads or cores as CPUs, and neither a Prolog's record nor "
                "slurm.conf shows which; install the Prolog"
            )
        return threads / self._threads_per_cpu

    def _find(self) -> float | None:
        cores = cores_in(self._root)
        if cores in {0, self.online}:  # one thread per core, or no sign of more
            return 1.0
        configured = _configured(read_slurm_conf(self._root), self._node)
        if configured == self.online:
            return 1.0
        return self.online / cores if configured == cores else None


def cores_in(root: str) -> int:
    """Return the number of cores with CPUs online, or 0 if the kernel does not show them."""
    cpus = f"{root}/sys/devices/system/cpu"
    siblings: set[bytes] = set()
    for name in files.names(cpus):
        if name.startswith("cpu") and name[3:].isdigit():
            try:
                siblings.add(files.read(f"{cpus}/{name}/topology/thread_siblings_list"))
            except OSError:
                continue  # this CPU is offline
    return len(siblings)


def _configured(conf: SlurmConf | None, node: str | None) -> int | None:
    """Return the CPUs that slurm.conf gives to ``node``, or None if it gives none."""
    found: dict[str, str] = {}
    defaults: dict[str, str] = {}
    for line in conf.describing("NodeName") if conf else ():
        if line["nodename"].lower() == "default":
            defaults.update(line)  # for the lines below it
        elif node and _has(line["nodename"], node):
            found = {**defaults, **line}
    try:
        return _cpus_of(found)
    except ValueError:
        return None


def _has(names: str, node: str) -> bool:
    try:
        return node in expand(names)
    except ValueError:
        return False


def _cpus_of(line: dict[str, str]) -> int | None:
    """Return the CPUs of a node's line. Without a number they are all threads of all sockets."""
    cpus = line.get("cpus") or line.get("procs")
    if cpus:
        return int(cpus)
    if "corespersocket" not in line and "threadspercore" not in line:
        return None
    sockets = int(line.get("sockets", 0)) or (
        int(line.get("boards", 1)) * int(line.get("socketsperboard", 1))
    )
    return sockets * int(line.get("corespersocket", 1)) * int(line.get("threadspercore", 1))
