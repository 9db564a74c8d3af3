"""The memory that a job has in use: what the kernel cannot drop."""

from __future__ import annotations

from hpcobs_forwarder.node.cgroups import files

_LARGEST_BYTES = 1 << 60
"""The contract's limit. A larger value is damaged: it is 1 EiB."""


def in_use_v2(current: int, stat: bytes) -> int:
    """Return the bytes in use by ``memory.current`` and ``memory.stat`` of a job.

    Raise ValueError if a value is damaged.
    """
    # A job that reads large files keeps them in the cache up to its limit, whether or not it needs
    # them. "file" counts tmpfs and shared memory too, which the kernel can only swap out.
    page_cache = _page_cache(stat, b"file", _of(stat, b"shmem"))
    droppable = page_cache + _of(stat, b"slab_reclaimable")
    return _checked(current - droppable)


def in_use_v1(usage: int, stat: bytes) -> int:
    """Return the bytes in use by ``memory.usage_in_bytes`` and ``memory.stat`` of a job.

    Raise ValueError if a value is damaged.
    """
    # "total_" includes the cgroups below. Version 1 does not show the reclaimable slab.
    return _checked(usage - _page_cache(stat, b"total_cache", _shmem_v1(stat)))


def _shmem_v1(stat: bytes) -> int:
    shmem = files.value(stat, b"total_shmem")
    if shmem is not None:
        return shmem
    # Before Linux 4.13, as on RHEL 7. Shared memory is on the lists of anonymous pages, but not in
    # the resident set.
    listed = _of(stat, b"total_active_anon") + _of(stat, b"total_inactive_anon")
    return max(listed - _of(stat, b"total_rss"), 0)


def checked_size(size: int) -> int:
    """Return ``size`` in bytes. Raise ValueError if no job can have it."""
    if size > _LARGEST_BYTES:
        raise ValueError(f"{size} bytes are more than any memory")
    return size


def _checked(size: int) -> int:
    return checked_size(max(size, 0))  # the two files are not read at the same moment


def _page_cache(stat: bytes, key: bytes, shmem: int) -> int:
    """Return the page cache without shared memory. Raise ValueError if it is unknown."""
    cached = files.value(stat, key)
    if cached is None:
        # Without it, all page cache would count as memory in use.
        raise ValueError(f"memory.stat has no {key.decode()}")
    return max(cached - shmem, 0)


def _of(stat: bytes, key: bytes) -> int:
    return files.value(stat, key) or 0  # older kernels lack this key
