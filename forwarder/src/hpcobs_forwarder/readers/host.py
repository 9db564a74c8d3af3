"""The node itself: CPUs, memory and load."""

from __future__ import annotations

from typing import NamedTuple

from hpcobs_forwarder.hostlist import count_ids
from hpcobs_forwarder.readers import files


class Host(NamedTuple):
    """The node's size and use. MiB, and the load average of one minute."""

    cpus: int
    memory_total_mb: int
    memory_used_mb: int
    cpu_load: float


def read_cpus(root: str) -> int:
    """How many CPUs are online."""
    return count_ids(files.read(f"{root}/sys/devices/system/cpu/online"))


def read_host(root: str) -> Host:
    """The node as it is now; memory in use is what new work could not have (MemAvailable)."""
    memory = files.read(f"{root}/proc/meminfo").replace(b":", b"")
    total = _kibibytes(memory, b"MemTotal")
    return Host(
        cpus=read_cpus(root),
        memory_total_mb=total >> 10,
        memory_used_mb=(total - _kibibytes(memory, b"MemAvailable")) >> 10,
        cpu_load=float(files.read(f"{root}/proc/loadavg").split()[0]),
    )


def _kibibytes(memory: bytes, key: bytes) -> int:
    for line in memory.splitlines():
        words = line.split()
        if words[0] == key:
            return int(words[1])
    raise ValueError(f"/proc/meminfo has no {key.decode()}")
