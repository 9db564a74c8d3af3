"""The node itself: its CPUs, memory, load and boot."""

from __future__ import annotations

from typing import Any, NamedTuple

from hpcobs_forwarder.node.cgroups import files
from hpcobs_forwarder.node.cgroups.memory import checked_size

_NO_LOAD = 1e9
"""More than the processes of any host."""


class Host(NamedTuple):
    """The node's size and use. Memory in MiB, load as the average of one minute."""

    cpus: int
    memory_total_mb: int
    memory_used_mb: int
    cpu_load: float


def read_host(root: str) -> Host:
    """Read the node's size and use. Raise OSError or ValueError."""
    host, errors = read_parts(root)
    if errors:
        raise errors[0]
    return Host(**host)


def read_parts(root: str) -> tuple[dict[str, Any], list[Exception]]:
    """Return the fields of ``Host`` that can be read, and why others cannot."""
    found: dict[str, Any] = {}
    errors: list[Exception] = []
    for read in (_cpus, _memory_total, _memory_used, _load):
        try:
            found.update(read(root))
        except (OSError, ValueError) as error:
            errors.append(error)
    return found, errors


def read_cpus(root: str) -> int:
    """Return the number of CPUs online. Raise OSError or ValueError."""
    online = files.count_ids(files.read(f"{root}/sys/devices/system/cpu/online"))
    if not online:
        raise ValueError("no CPU is online")
    return online


def _cpus(root: str) -> dict[str, int]:
    return {"cpus": read_cpus(root)}


def _memory_total(root: str) -> dict[str, int]:
    return {"memory_total_mb": _kibibytes(root, b"MemTotal") >> 10}


def _memory_used(root: str) -> dict[str, int]:
    # MemAvailable counts the page cache that new work could reclaim, MemFree does not.
    used = _kibibytes(root, b"MemTotal") - _kibibytes(root, b"MemAvailable")
    if used < 0:
        raise ValueError("/proc/meminfo has more memory available than there is")
    return {"memory_used_mb": used >> 10}


def _load(root: str) -> dict[str, float]:
    words = files.read(f"{root}/proc/loadavg").split()
    load = float(words[0]) if words else -1.0
    if not 0 <= load < _NO_LOAD:  # false for NaN too
        raise ValueError(f"/proc/loadavg has no load: {words[:1]}")
    return {"cpu_load": load}


def _kibibytes(root: str, key: bytes) -> int:
    memory = files.read(f"{root}/proc/meminfo").replace(b":", b"")
    for line in memory.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == key:
            return checked_size(files.number(words[1]) << 10) >> 10
    raise ValueError(f"/proc/meminfo has no {key.decode()}")


def boot_id(root: str) -> str:
    """Return the kernel's random name of this boot, or an empty text if it has none."""
    try:
        return (
            files.read(f"{root}/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()
        )
    except OSError:
        return ""
