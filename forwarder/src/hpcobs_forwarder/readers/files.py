"""Reading the kernel's small files, cheaply: no buffering, no decoding, no path objects."""

from __future__ import annotations

import os

_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_BLOCK = 16_384


def read(path: str) -> bytes:
    """The whole file. OSError if it cannot be read, also when its cgroup has just gone."""
    descriptor = os.open(path, _FLAGS)
    try:
        data = os.read(descriptor, _BLOCK)
        # A full block may be only the beginning; a short one is the kernel's whole answer.
        while data and len(data) % _BLOCK == 0:
            more = os.read(descriptor, _BLOCK)
            if not more:
                break
            data += more
        return data
    finally:
        os.close(descriptor)


def read_int(path: str) -> int:
    """The one number in the file."""
    return int(read(path))


def value(data: bytes, key: bytes) -> int | None:
    """The number after ``key`` in lines of ``key number``; None if there is no such line."""
    if data.startswith(key + b" "):
        start = len(key) + 1
    else:
        start = data.find(b"\n" + key + b" ") + len(key) + 2
        if start < len(key) + 2:
            return None
    end = data.find(b"\n", start)
    return int(data[start:] if end < 0 else data[start:end])


def names(path: str) -> list[str]:
    """The names in the folder; none if it is not there."""
    try:
        return os.listdir(path)
    except OSError:
        return []
