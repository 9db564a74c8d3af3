"""What the Prolog has written down about each job on this node.

It knows what the kernel does not: the CPUs and GPUs that Slurm gave the job, and when it began.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs_forwarder.hostlist import cpus_on_node

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICK_NANOSECONDS = 1_000_000_000
"""Far more than any kernel's, and than file servers'."""


class JobRecord(NamedTuple):
    """One job as the Prolog saw it; ``began_at`` is on the interval clock (seconds since boot)."""

    job_id: str
    sluid: str | None = None
    cluster_name: str | None = None
    node: str | None = None
    cpus: int | None = None
    gpus: tuple[str, ...] = ()
    began_at: float | None = None
    boot_id: str | None = None


class Records:
    """The records in ``folder``, read anew when one comes or goes."""

    def __init__(self, folder: str) -> None:
        """Nothing is read yet."""
        self._folder = folder
        self._changed_at = -1
        self._stamps: dict[str, tuple[int, int]] = {}
        self._files: dict[str, JobRecord] = {}
        self._by_sluid: dict[str, JobRecord] = {}

    def refresh(self) -> None:
        """Reads what is new; records that cannot be read are passed over."""
        try:
            changed_at = os.stat(self._folder).st_mtime_ns
            if changed_at == self._changed_at:
                return
            self._read_anew()
        except OSError:
            self._stamps, self._files, self._by_sluid, self._changed_at = {}, {}, {}, -1
            return
        # Two changes within one tick of the kernel's clock look like one.
        settled = abs(time.time_ns() - changed_at) > _TICK_NANOSECONDS
        self._changed_at = changed_at if settled else -1

    def _read_anew(self) -> None:
        """The files that there are now; those that were read before are not read again."""
        stamps: dict[str, tuple[int, int]] = {}
        files: dict[str, JobRecord] = {}
        for name, path, stamp in _listed(self._folder):
            stamps[name] = stamp
            known = self._files.get(name) if self._stamps.get(name) == stamp else None
            record = known or read_record(path)
            if record is not None:
                files[name] = record
        self._stamps, self._files = stamps, files
        self._by_sluid = {record.sluid: record for record in files.values() if record.sluid}

    def of_job(self, job_id: str) -> JobRecord | None:
        """The record of the job, if its Prolog wrote one."""
        return self._files.get(f"{job_id}.json")

    def of_sluid(self, sluid: str) -> JobRecord | None:
        """The record of the job with this SLUID."""
        return self._by_sluid.get(sluid)

    def all(self) -> list[JobRecord]:
        """All records, in no order."""
        return list(self._files.values())


def _listed(folder: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Name, path, and what tells one writing of it from another."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.name.endswith(".json"):
                continue
            try:
                status = entry.stat()
            except FileNotFoundError:  # its Epilog has just removed it
                continue
            yield entry.name, entry.path, (status.st_ino, status.st_mtime_ns)


def read_record(path: str) -> JobRecord | None:
    """The record in the file; None if it cannot be read or makes no sense."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return _record(json.load(file))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _record(fields: dict[str, Any]) -> JobRecord:
    node = fields.get("node")
    gpus = fields.get("gpus")
    began_at = fields.get("uptime_seconds")
    return JobRecord(
        job_id=fields["job_id"],
        sluid=fields.get("sluid"),
        cluster_name=fields.get("cluster_name"),
        node=node,
        cpus=cpus_on_node(fields.get("cpus_per_node", ""), fields.get("node_list", ""), node or ""),
        gpus=tuple(gpus.split(",")) if gpus else (),
        began_at=float(began_at) if began_at else None,
        boot_id=fields.get("boot_id"),
    )
