"""Read the Prolog's record of each job on this node.

The record holds what no kernel file shows: the CPUs and GPUs that Slurm allocated, and when the job
started.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs_forwarder.node.hostlist import cpus_on_node
from hpcobs_forwarder.node.names import valid_name
from hpcobs_forwarder.spool.fallback import NO_FALLBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.spool.fallback import Fallback

_JOB_ID = re.compile(r"[0-9]{1,20}")

# File times advance by ticks: up to 10 ms on a local disk, a second on some file servers.
_TICK_NANOSECONDS = 1_000_000_000


class JobRecord(NamedTuple):
    """One job at its Prolog. ``began_at`` is in seconds since boot, as ``Clock.uptime``.

    ``gpus`` has Slurm's indexes, and ``visible_gpus`` the same GPUs as in CUDA_VISIBLE_DEVICES.
    ``slurm_conf`` is the path of slurmd's configuration.
    """

    job_id: str
    sluid: str | None = None
    cluster_name: str | None = None
    node: str | None = None
    cpus: int | None = None
    gpus: tuple[str, ...] = ()
    visible_gpus: tuple[str, ...] = ()
    began_at: float | None = None
    boot_id: str | None = None
    slurm_conf: str | None = None


class Records:
    """The records in ``folder``, read again when a file is added or removed.

    While the spool's disk is full, Prologs write them to ``jobs`` in the fallback folder.
    """

    def __init__(self, folder: str, fallback: Fallback = NO_FALLBACK) -> None:
        """Read nothing yet."""
        self._folder = folder
        self._fallback = fallback
        self._changed_at: list[int] = []
        self._stamps: dict[str, tuple[int, int]] = {}
        self._files: dict[str, JobRecord] = {}
        self._by_sluid: dict[str, JobRecord] = {}

    def refresh(self) -> None:
        """Read the records that are new. Skip those that cannot be read."""
        folders = [self._folder, *(f"{top}/jobs" for top in self._fallback.folders())]
        # A folder's time changes with each file that the hooks add or remove by rename. One stat
        # call saves listing the folder in almost every pass.
        changed_at = list(map(_changed_at, folders))
        if changed_at == self._changed_at:
            return
        self._read_anew(folders)
        # A second change within the same tick would not change the time. So a folder that changed
        # just now is read again in the next pass.
        now = time.time_ns()
        settled = all(abs(now - at) > _TICK_NANOSECONDS for at in changed_at)
        self._changed_at = changed_at if settled else []

    def _read_anew(self, folders: list[str]) -> None:
        """Read the files that were added or replaced since the last call."""
        stamps: dict[str, tuple[int, int]] = {}
        files: dict[str, JobRecord] = {}
        for name, path, stamp in (one for folder in folders for one in _listed(folder)):
            if name in stamps and stamps[name][1] > stamp[1]:
                continue  # a requeued job has a newer record in another folder
            stamps[name] = stamp
            known = self._files.get(name) if self._stamps.get(name) == stamp else None
            record = known or read_record(path)
            if record is not None:
                files[name] = record
            else:
                files.pop(name, None)
        self._stamps, self._files = stamps, files
        self._by_sluid = {record.sluid: record for record in files.values() if record.sluid}

    def of_job(self, job_id: str) -> JobRecord | None:
        """Return the job's record, or None if its Prolog wrote none."""
        return self._files.get(f"{job_id}.json")

    def written_ms(self, job_id: str) -> int:
        """Return when the job's record was written, in milliseconds of the wall clock."""
        return self._stamps.get(f"{job_id}.json", (0, 0))[1] // 1_000_000

    def of_sluid(self, sluid: str) -> JobRecord | None:
        """Return the record of the job with this SLUID, or None."""
        return self._by_sluid.get(sluid)

    def all(self) -> list[JobRecord]:
        """Return all records, in no particular order."""
        return list(self._files.values())


def _changed_at(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return -1


def _listed(folder: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yield each record's name, path, and stamp, which changes when the file is replaced."""
    try:
        listed = os.scandir(folder)
    except OSError:
        return
    with listed as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.name.endswith(".json"):
                continue
            try:
                status = entry.stat()
            except FileNotFoundError:  # its Epilog has just removed the file
                continue
            # A requeued job's Prolog replaces the file by rename: the inode changes even if the
            # time does not.
            yield entry.name, entry.path, (status.st_ino, status.st_mtime_ns)


def read_record(path: str) -> JobRecord | None:
    """Return the record in the file, or None if it cannot be read or parsed."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return _record(json.load(file))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # Any damage: a record only improves the samples, and must not stop them.
        return None


def _record(fields: dict[str, Any]) -> JobRecord:
    node = valid_name(fields.get("node"))
    began_at = fields.get("uptime_seconds")  # /proc/uptime when the Prolog ran
    if not _JOB_ID.fullmatch(fields["job_id"]):
        raise ValueError(fields["job_id"])
    return JobRecord(
        job_id=fields["job_id"],
        sluid=_text(fields, "sluid"),
        cluster_name=_text(fields, "cluster_name"),
        node=node,
        cpus=cpus_on_node(fields.get("cpus_per_node", ""), fields.get("node_list", ""), node or ""),
        gpus=_names(fields.get("gpus")),
        visible_gpus=_names(fields.get("visible_gpus")),
        began_at=float(began_at) if began_at else None,
        boot_id=_text(fields, "boot_id"),
        slurm_conf=_text(fields, "slurm_conf"),
    )


def _names(text: object) -> tuple[str, ...]:
    if not isinstance(text, str):
        return ()
    return tuple(filter(None, map(str.strip, text.split(","))))


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None
