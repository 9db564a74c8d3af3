"""What the Prolog has written down about each job on this node.

It knows what the kernel does not: the CPUs and GPUs that Slurm gave the job, and when it began.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from hpcobs_forwarder.hostlist import cpus_on_node


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
        self._files: dict[str, JobRecord] = {}
        self._by_sluid: dict[str, JobRecord] = {}

    def refresh(self) -> None:
        """Reads what is new; records that cannot be read are passed over."""
        try:
            changed_at = os.stat(self._folder).st_mtime_ns
        except OSError:
            self._files, self._by_sluid, self._changed_at = {}, {}, -1
            return
        if changed_at == self._changed_at:
            return
        self._files = {
            name: record
            for name in os.listdir(self._folder)
            if name.endswith(".json") and not name.startswith(".")
            for record in [read_record(f"{self._folder}/{name}")]
            if record is not None
        }
        self._by_sluid = {record.sluid: record for record in self._files.values() if record.sluid}
        self._changed_at = changed_at

    def of_job(self, job_id: str) -> JobRecord | None:
        """The record of the job, if its Prolog wrote one."""
        return self._files.get(f"{job_id}.json")

    def of_sluid(self, sluid: str) -> JobRecord | None:
        """The record of the job with this SLUID."""
        return self._by_sluid.get(sluid)

    def all(self) -> list[JobRecord]:
        """All records, in no order."""
        return list(self._files.values())


def read_record(path: str) -> JobRecord | None:
    """The record in the file; None if it cannot be read or makes no sense."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return _record(json.load(file))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
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
