"""Read the kernel's small files and Slurm's job folders cheaply.

A pass reads six files or more for every job. Hence plain ``os`` calls without buffers, decoding or
path objects.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups.layout import JobFolder

if TYPE_CHECKING:
    from collections.abc import Collection

_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_BLOCK = 16_384
_LARGEST = (1 << 63) - 1
_MOST_DIGITS = len(str(_LARGEST))
_MOST_IDS = 1 << 16
"""More CPUs than any kernel has (NR_CPUS is at most 8192)."""

# Slurm 26.05 can name the folder by the job's SLUID instead of job_<id>.
_JOB = re.compile(r"job_\d+|s[0-9A-Za-z]{13}")


def read(path: str) -> bytes:
    """Return the whole file. Raise OSError if it cannot be read, or if its cgroup has just gone."""
    descriptor = os.open(path, _FLAGS)
    try:
        data = os.read(descriptor, _BLOCK)
        # The kernel fills the buffer as far as it can: a short block is the whole file, and only
        # after a full one is there more to read. It saves one system call per file.
        while data and len(data) % _BLOCK == 0:
            more = os.read(descriptor, _BLOCK)
            if not more:
                break
            data += more
        return data
    finally:
        os.close(descriptor)


def read_int(path: str) -> int:
    """Return the one number in the file. Raise OSError or ValueError."""
    try:
        return number(read(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def number(text: bytes) -> int:
    """Return the number that the kernel wrote. Raise ValueError for anything else."""
    # int() would accept signs and underscores. Every counter of a cgroup is a u64 or less, and
    # those of the contract are 63 bits long.
    digits = text.strip()
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise ValueError(f"{text[:40]!r} is not a number")
    return checked(int(digits))


def checked(count: int) -> int:
    """Return ``count``. Raise ValueError if it is larger than any counter."""
    if count > _LARGEST:
        raise ValueError(f"{count} is too large")
    return count


def value(data: bytes, key: bytes) -> int | None:
    """Return the number after ``key`` in lines of ``key number``, or None without such a line.

    Raise ValueError if it is not a number.
    """
    # Searching for the line is several times faster than splitting memory.stat's 40 lines.
    if data.startswith(key + b" "):
        start = len(key) + 1
    else:
        start = data.find(b"\n" + key + b" ") + len(key) + 2
        if start < len(key) + 2:
            return None
    end = data.find(b"\n", start)
    try:
        return number(data[start:] if end < 0 else data[start:end])
    except ValueError as error:
        raise ValueError(f"{key.decode()}: {error}") from error


def names(path: str) -> list[str]:
    """Return the names in the folder, or an empty list if it does not exist."""
    try:
        return os.listdir(path)
    except OSError:
        return []


def count_ids(text: bytes) -> int:
    """Count the ids in a kernel list such as ``cpuset.cpus``: ``0-3,8`` has 5.

    Raise ValueError if it is not such a list.
    """
    return len(ids_in(text))


def ids_in(text: bytes) -> set[int]:
    """Return the ids in a kernel list. ``0-7:2/4`` has the first two of every four: 0, 1, 4, 5.

    Raise ValueError if it is not such a list. Format: bitmap_parselist() in the kernel's
    Documentation/core-api/kernel-api.
    """
    found: set[int] = set()
    for part in filter(None, text.strip().split(b",")):
        span, _, stride = part.partition(b":")
        first, dash, last = span.partition(b"-")
        start, end = number(first), number(last if dash else first)
        used, _, group = stride.partition(b"/") if stride else (b"1", b"", b"1")
        of_group = number(group)
        if not start <= end < _MOST_IDS or not of_group:
            raise ValueError(f"{text[:40]!r} is not a list of ids")
        found.update(
            one for one in range(start, end + 1) if (one - start) % of_group < number(used)
        )
    return found


def jobs_in(path: str) -> list[JobFolder]:
    """Return the job folders directly below ``path``, or an empty list if it does not exist."""
    try:
        with os.scandir(path) as entries:
            return [
                JobFolder(entry.name, entry.path, entry.inode())
                for entry in entries
                if _JOB.fullmatch(entry.name)
            ]
    except OSError:
        return []


def job_id_in(name: str) -> str | None:
    """Return the job id in a folder's name, or None if the name is an SLUID."""
    return name[4:] if name.startswith("job_") else None


def of_nodes(found: dict[str, list[str]], nodes: Collection[str]) -> list[str]:
    """Return the paths in ``found`` that belong to ``nodes``.

    ``found`` maps the node in a folder's name to the paths. The key is empty for folders that name
    no node.
    """
    wanted = sorted(found.keys() & set(nodes))
    if wanted:
        # Several slurmd on one host: the folders of the others have their own forwarder.
        return [path for node in (*wanted, "") for path in found.get(node, ())]
    # No folder has the configured name: Slurm has another name for this node. Take all folders.
    # Their names show the nodes.
    return [path for paths in found.values() for path in paths]
