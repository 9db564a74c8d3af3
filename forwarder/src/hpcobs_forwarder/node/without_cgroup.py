"""Jobs that Slurm runs on this node without a cgroup, because no step of theirs runs here.

Such a job holds its CPUs, memory and GPUs, and uses none of them. That is a reading, and no gap. It
is only sure of a job whose Prolog ran here, whose Epilog did not, and that never had a cgroup or
another step.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups.layout import Details, JobFolder, Reading
from hpcobs_forwarder.node.epilogs import Epilogs
from hpcobs_forwarder.node.seen import SeenJobs
from hpcobs_forwarder.node.stepds import steps_in
from hpcobs_forwarder.node.tracking import TrackedJob
from hpcobs_forwarder.slurm_conf import read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.node.cgroups.discovery import Discovery
    from hpcobs_forwarder.node.records import JobRecord, Records

LEAST_GRACE_SECONDS = 30.0
"""How long a job's cgroup may come after the record of its Prolog."""

_CONF_KNOWN_FOR_SECONDS = 600.0


class NoCgroup:
    """The layout of a job without a cgroup: it uses nothing."""

    name = "no_cgroup"

    def search(self, nodes: object = ()) -> bool:
        """Return False: there is nothing to find."""
        return False

    def tops(self) -> Sequence[str]:
        """Return no folder."""
        return ()

    def folders(self) -> Sequence[JobFolder]:
        """Return no folder."""
        return ()

    def read(self, folder: JobFolder) -> Reading:
        """Return a reading of no use."""
        return Reading(0.0, 0)

    def cpu_limit(self, folder: JobFolder) -> float | None:
        """Return None."""
        return None

    def processes(self, folder: JobFolder) -> Sequence[int]:
        """Return no process."""
        return ()

    def gpu_minors(self, folder: JobFolder) -> frozenset[int] | None:
        """Return None: no device cgroup shows the job's GPUs."""
        return None

    def details(self, folder: JobFolder) -> Details:
        """Return nothing more."""
        return Details()


NO_CGROUP = NoCgroup()


class JobsWithoutCgroup:
    """Finds these jobs, pass by pass. ``spool`` is the folder that the hooks write to.

    ``root`` holds slurm.conf. ``boot_id`` names the host's boot.
    """

    def __init__(
        self,
        records: Records,
        discovery: Discovery,
        *,
        spool: str,
        root: str,
        boot_id: str,
        grace_seconds: float,
    ) -> None:
        """Read nothing yet."""
        self.seen = SeenJobs(f"{spool}/seen", boot_id)
        self._records = records
        self._discovery = discovery
        self._epilogs = Epilogs(f"{spool}/events")
        self._root = root
        self._boot_id = boot_id
        self._grace_seconds = grace_seconds
        self._noticed: dict[str, float] = {}
        self._known: dict[str, TrackedJob] = {}
        self._makes_cgroups = False
        self._conf_until = float("-inf")

    def find(self, jobs: Sequence[TrackedJob], now: float) -> list[TrackedJob]:
        """Return the jobs that run without a cgroup. ``jobs`` are those with one."""
        records = self._records.all()
        self.seen.notice(jobs, records, now)
        began = {record.job_id: self._began(record, now) for record in records}
        self._noticed = {job: at for job, at in self._noticed.items() if job in began}
        held = {one.job_id: one for one in records if self._holds(one, began[one.job_id], now)}
        if held and not self._is_certain(now):
            held = {}
        if held:
            held = self._without_steps(held)
        ended = self._epilogs.ended(self._records, held)
        known, self._known = self._known, {}
        is_new = held.keys() - known.keys() - ended
        for job_id in held.keys() - ended:
            self._known[job_id] = _tracked(held[job_id], known.get(job_id))
        if is_new and not self._discovery.is_fresh:
            # Slurm's folders are looked for in one pass of six. A new one may have the job.
            self._discovery.expire()
            self._known = {job: one for job, one in self._known.items() if job not in is_new}
        return list(self._known.values())

    def _began(self, record: JobRecord, now: float) -> float:
        if record.began_at is not None:
            return record.began_at
        return self._noticed.setdefault(record.job_id, now)

    def _holds(self, record: JobRecord, began: float, now: float) -> bool:
        """Return whether the job has had its time to get a cgroup, and never had one."""
        return (
            (record.boot_id or "") == self._boot_id
            and now - began >= self._grace_seconds
            and not self.seen.had_cgroup(record)
        )

    def _without_steps(self, held: dict[str, JobRecord]) -> dict[str, JobRecord]:
        """Return the jobs of which no step runs.

        From Slurm 24.11 on, slurmd's folder exists whatever the plugins are. So a job of
        ``proctrack/linuxproc`` may use this node without a cgroup where slurm.conf cannot be read.
        """
        steps = steps_in(f"{self._root.rstrip('/')}/proc")
        if steps.unknown:
            return {}
        return {job: record for job, record in held.items() if not steps.jobs & {job, record.sluid}}

    def _is_certain(self, now: float) -> bool:
        """Return whether Slurm makes cgroups on this node, and all of them can be listed."""
        tops = [top for layout in self._discovery.used for top in layout.tops()]
        try:
            for top in tops:
                os.listdir(top)
        except OSError:
            return False
        if now >= self._conf_until:
            self._makes_cgroups = makes_cgroups(self._root)
            self._conf_until = now + _CONF_KNOWN_FOR_SECONDS
        return bool(tops) and self._makes_cgroups


def makes_cgroups(root: str) -> bool:
    """Return False if slurm.conf shows that steps get no cgroup, whatever folders there are."""
    conf = read_slurm_conf(root)
    if conf is None:
        return True
    # proctrack/cgroup is Slurm's default.
    tracking = conf.last("ProctrackType") or "proctrack/cgroup"
    others = (conf.last("TaskPlugin") or "", conf.last("JobAcctGatherType") or "")
    return any("cgroup" in plugin.lower() for plugin in (tracking, *others))


def _tracked(record: JobRecord, known: TrackedJob | None) -> TrackedJob:
    if known is not None and known.record == record:
        return known
    job = TrackedJob(NO_CGROUP, JobFolder(f"job_{record.job_id}", "", 0))
    job.record = record
    return job
