"""The node itself: its CPUs, memory, load and boot."""

from __future__ import annotations

from typing import NamedTuple

from hpcobs_forwarder.node.cgroups import files


class Host(NamedTuple):
    """The node's size and use. Memory in MiB, load as the average of one minute."""

    cpus: int
    memory_total_mb: int
    memory_used_mb: int
    cpu_load: float


def read_cpus(root: str) -> int:
    """Return the number of CPUs online. Raise OSError or ValueError."""
    return files.count_ids(files.read(f"{root}/sys/devices/system/cpu/online"))


def read_host(root: str) -> Host:
    """Read the node's size and use. Raise OSError or ValueError."""
    memory = files.read(f"{root}/proc/meminfo").replace(b":", b"")
    total = _kibibytes(memory, b"MemTotal")
    return Host(
        cpus=read_cpus(root),
        memory_total_mb=total >> 10,
        # MemAvailable counts the page cache that new work could reclaim, MemFree does not.
        memory_used_mb=(total - _kibibytes(memory, b"MemAvailable")) >> 10,
        cpu_load=float(files.read(f"{root}/proc/loadavg").split()[0]),
    )


def _kibibytes(memory: bytes, key: bytes) -> int:
    for line in memory.splitlines():
        words = line.split()
        if words[0] == key:
            return int(words[1])
    raise ValueError(f"/proc/meminfo has no {key.decode()}")


def boot_id(root: str) -> str:
    """Return the kernel's random name of this boot, or an empty text if it has none."""
    try:
        return files.read(f"{root}/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return ""
