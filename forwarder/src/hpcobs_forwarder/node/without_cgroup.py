"""Jobs that Slurm runs on this node without a cgroup, because no step of theirs runs here.

Such a job holds its CPUs, memory and GPUs, and uses none of them. That is a reading, and no gap. It
is only sure of a job whose Prolog ran here, whose Epilog did not, and that never had a cgroup or
another step. With ``PrologFlags=Contain`` there is no such job: one without a cgroup is still in
its Prolog, or already in its Epilog.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.node.cgroups.layout import Details, JobFolder, Reading
from hpcobs_forwarder.node.epilogs import Epilogs
from hpcobs_forwarder.node.seen import SeenJobs
from hpcobs_forwarder.node.stepds import steps_in
from hpcobs_forwarder.node.tracking import TrackedJob
from hpcobs_forwarder.slurm_conf import read_slurm_conf
from hpcobs_forwarder.spool.fallback import NO_FALLBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.node.cgroups.discovery import Discovery
    from hpcobs_forwarder.node.records import JobRecord, Records
    from hpcobs_forwarder.slurm_conf import SlurmConf
    from hpcobs_forwarder.spool.fallback import Fallback

GRACE_SECONDS = 300.0
"""How long a job's cgroup may come after the record of its Prolog, if slurm.conf has no limit. A
site's own Prolog may run after ours, and its Epilog before ours."""

_LEAST_GRACE_SECONDS = 30.0
_MAKE_A_CGROUP = {"contain", "x11", "runinjob"}
"""Values of PrologFlags with which a job has a cgroup on each node while it runs."""

_NO_LIMIT = 65_534
"""Slurm's default of PrologEpilogTimeout (NO_VAL16)."""

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
        fallback: Fallback = NO_FALLBACK,
        is_patient: bool = True,
    ) -> None:
        """Read nothing yet. Without ``is_patient``, do not wait for a job's Prolog."""
        self.seen = SeenJobs(f"{spool}/seen", boot_id, fallback)
        self._records = records
        self._discovery = discovery
        self._epilogs = Epilogs(f"{spool}/events", fallback)
        self._root = root
        self._boot_id = boot_id
        self._is_patient = is_patient
        self._noticed: dict[str, float] = {}
        self._known: dict[str, TrackedJob] = {}
        self._conf = NodeConf(makes_cgroups=False, grace_seconds=GRACE_SECONDS)
        self._conf_until = float("-inf")

    def find(self, jobs: Sequence[TrackedJob], now: float) -> list[TrackedJob]:
        """Return the jobs that run without a cgroup. ``jobs`` are those with one."""
        records = self._records.all()
        self.seen.notice(jobs, records, now)
        if now >= self._conf_until:
            self._conf = conf_of(self._root)
            self._conf_until = now + _CONF_KNOWN_FOR_SECONDS
        began = {record.job_id: self._began(record, now) for record in records}
        self._noticed = {job: at for job, at in self._noticed.items() if job in began}
        held = {one.job_id: one for one in records if self._holds(one, began[one.job_id], now)}
        if held and not self._is_certain():
            held = {}
        if held:
            held = self._without_steps(held)
        ended = self._epilogs.ended(self._records, held)
        for job_id in ended:
            self.seen.note_end(held[job_id], now)
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
            and now - began >= (self._conf.grace_seconds if self._is_patient else 0.0)
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

    def _is_certain(self) -> bool:
        """Return whether Slurm makes cgroups for steps only, and all of them can be listed."""
        tops = [top for layout in self._discovery.used for top in layout.tops()]
        try:
            for top in tops:
                os.listdir(top)
        except OSError:
            return False
        return bool(tops) and self._conf.makes_cgroups


class NodeConf(NamedTuple):
    """What slurm.conf shows about jobs without a cgroup.

    ``makes_cgroups`` is true if steps have cgroups, and jobs without a step none.
    """

    makes_cgroups: bool
    grace_seconds: float


def conf_of(root: str) -> NodeConf:
    """Return what slurm.conf shows. Without the file, steps count as having cgroups."""
    conf = read_slurm_conf(root)
    if conf is None:
        return NodeConf(makes_cgroups=True, grace_seconds=GRACE_SECONDS)
    # proctrack/cgroup is Slurm's default.
    tracking = conf.last("ProctrackType") or "proctrack/cgroup"
    plugins = (tracking, conf.last("TaskPlugin") or "", conf.last("JobAcctGatherType") or "")
    flags = {flag.strip().lower() for flag in (conf.last("PrologFlags") or "").split(",")}
    has_cgroups = any("cgroup" in plugin.lower() for plugin in plugins)
    return NodeConf(has_cgroups and not flags & _MAKE_A_CGROUP, _grace_seconds(conf))


def _grace_seconds(conf: SlurmConf) -> float:
    """Return after how many seconds Slurm ends a Prolog, or the usual grace without a limit."""
    # From 24.11 on there is a limit for each of the two.
    limit = conf.last("PrologTimeout") or conf.last("PrologEpilogTimeout") or ""
    if not limit.isdigit() or not 0 < int(limit) < _NO_LIMIT:
        return GRACE_SECONDS
    return max(float(limit), _LEAST_GRACE_SECONDS)


def _tracked(record: JobRecord, known: TrackedJob | None) -> TrackedJob:
    if known is not None and known.record == record:
        return known
    job = TrackedJob(NO_CGROUP, JobFolder(f"job_{record.job_id}", "", 0))
    job.record = record
    return job
