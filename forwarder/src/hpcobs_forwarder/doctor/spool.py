"""Check the spool: its queue, its quarantine and the free space."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.daemon.config import unit_of
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.spool.entries import listed
from hpcobs_forwarder.spool.fallback import is_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config


def examine(config: Config) -> Iterator[Finding]:
    """Check the spool, its quarantine and the health file."""
    folder = config.spool_dir
    if not os.path.isdir(folder):
        unit = unit_of(config.role)
        yield failure(
            f"the spool folder {folder} does not exist",
            f"start the forwarder, which makes it: systemctl enable --now {unit}",
        )
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield failure(
            f"this user cannot write to the spool folder {folder}",
            "run the doctor as the service's user",
        )
        return
    yield _running(folder, config.role)
    yield from _room(folder, config.spool_max_mb)
    yield from _fallback(config.fallback_dir, config.role)
    yield _queued(folder)
    yield from _quarantine(f"{folder}/quarantine")
    yield from _textfile(config.textfile)


def _running(folder: str, role: str) -> Finding:
    # Ask the kernel who holds the lock. Trying it would lock out a forwarder that starts just now.
    try:
        inode = os.stat(f"{folder}/lock").st_ino
        with open("/proc/locks", encoding="ascii") as locks:
            held = any("FLOCK" in line and f":{inode} " in line for line in locks)
    except OSError:
        held = False
    if held:
        return ok("a forwarder is running")
    return warning(
        f"no forwarder is running with the spool {folder}",
        f"systemctl enable --now {unit_of(role)}",
    )


def _room(folder: str, max_mb: int) -> Iterator[Finding]:
    free_mb = _free_mb(folder)
    if free_mb < max_mb:
        yield warning(
            f"the spool {folder} may grow to {max_mb} MiB, but its disk has {free_mb} MiB free",
            "free some space, or set a lower HPCOBS_SPOOL_MAX_MB",
        )


def _fallback(folder: str, role: str) -> Iterator[Finding]:
    if not folder:
        return
    if is_private(folder):
        yield ok(f"the fallback folder for a full disk is {folder}")
    elif os.path.lexists(folder):
        yield warning(
            f"the fallback folder {folder} is not used: another user owns it or may write there",
            f"remove it, then systemctl restart {unit_of(role)}",
        )
    else:
        yield warning(
            f"there is no fallback folder {folder}: on a full disk, events are lost while the site "
            "is away",
            f"install the unit {unit_of(role)}, which makes it, and restart it",
        )


def _free_mb(folder: str) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize >> 20


def _files(folder: str) -> list[int]:
    return [entry.size for entry in listed(folder, ("",))] if os.path.isdir(folder) else []


def _queued(folder: str) -> Finding:
    batches, events = _files(f"{folder}/samples"), _files(f"{folder}/events")
    size_kb = sum(batches + events) >> 10
    return ok(
        f"spool {folder}: {len(batches)} batches and {len(events)} events to send, {size_kb} KiB"
    )


def _quarantine(folder: str) -> Iterator[Finding]:
    files = _files(folder)
    if files:
        yield warning(
            f"{folder} holds {len(files)} files that the site rejected or that are damaged",
            "read the .reason files there; to send a file again, move it to ../samples or "
            "../events",
        )


def _textfile(path: str | None) -> Iterator[Finding]:
    if path is None:
        yield ok("no health file for Prometheus is configured (HPCOBS_TEXTFILE)")
    elif os.access(os.path.dirname(path), os.W_OK):
        yield ok(f"the health file for Prometheus is {path}")
    else:
        yield warning(
            f"the health file {path} cannot be written",
            f"mkdir -p {os.path.dirname(path)}, owned by the service's user",
        )
