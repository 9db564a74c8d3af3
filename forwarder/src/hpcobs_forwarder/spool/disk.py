"""Writing to disk so that a power cut leaves a file whole or leaves none."""

from __future__ import annotations

import os

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of ``data``; OSError if the disk takes only a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_whole(path: str, data: bytes, *, sync: bool) -> None:
    """Creates the file at ``path``, in one step as seen by others."""
    folder, name = os.path.split(path)
    temporary = f"{folder}/.{name}.{os.getpid()}"
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        write_all(descriptor, data)
        if sync:
            os.fsync(descriptor)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)
    if sync:
        sync_folder(folder)


def sync_folder(path: str) -> None:
    """Makes the names in the folder outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
