"""The node role's work: a pass over the node's jobs every interval, a batch every push."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs_forwarder.clock import rfc3339
from hpcobs_forwarder.node.cpus import NodeCpus, UnknownCpusError
from hpcobs_forwarder.node.gpus.assignment import GpuAssignment
from hpcobs_forwarder.node.gpus.mapping import NodeGpus
from hpcobs_forwarder.node.host import boot_id, read_parts
from hpcobs_forwarder.node.names import NodeNames, UnknownNodeError
from hpcobs_forwarder.node.samples import idle_sample, sample_of, with_gpus
from hpcobs_forwarder.node.tracking import Count, TrackedJob
from hpcobs_forwarder.node.without_cgroup import NO_CGROUP, JobsWithoutCgroup
from hpcobs_forwarder.spool.fallback import NO_FALLBACK, KeptFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.node.cgroups.discovery import Discovery
    from hpcobs_forwarder.node.gpus.readings import GpuReader
    from hpcobs_forwarder.node.records import Records
    from hpcobs_forwarder.spool.fallback import Fallback
    from hpcobs_forwarder.spool.journal import BatchWriter

_log = logging.getLogger(__name__)


class Pass(NamedTuple):
    """The result of one pass, in the shape of the contract's sample batches.

    ``by_node`` has a node for each ``slurmd`` on this host. ``host`` is the state of all of them.
    """

    by_node: dict[str, list[dict[str, Any]]]
    host: dict[str, Any]

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Return the samples of all nodes."""
        return [sample for samples in self.by_node.values() for sample in samples]


class Sources(NamedTuple):
    """Where a node's readings come from. ``root`` holds its /proc and /sys.

    ``node`` is the node's configured name. ``spool`` is the folder that the hooks write to.
    ``fallback`` is the folder that they write to while the spool's disk is full. ``is_patient``
    waits for the Prologs and the cgroups of jobs that have just started.
    """

    root: str
    discovery: Discovery
    records: Records
    gpus: Iterable[GpuReader] = ()
    node: str = ""
    spool: str = ""
    fallback: Fallback = NO_FALLBACK
    is_patient: bool = True


class Sampler:
    """Takes samples, one pass after the other.

    CPU use is the difference between two passes. So a job has its first sample in the second pass
    that finds it, or in the first one if its Prolog recorded a start in the last two intervals.
    """

    def __init__(
        self, sources: Sources, *, interval_seconds: float, health: Health, clock: Clock
    ) -> None:
        """Read nothing yet."""
        self._sources = sources
        self._young_seconds = 2 * interval_seconds
        self._health = health
        self._clock = clock
        self._cpus = NodeCpus(sources.root)
        names = f"{sources.spool}/names"
        self._names = NodeNames(
            sources.node, KeptFile(names, sources.fallback) if sources.spool else None
        )
        self._jobs: dict[tuple[str, int], TrackedJob] = {}
        self._gpus = GpuAssignment(sources.gpus, sources.root, self._failed)
        self._without_cgroup = JobsWithoutCgroup(
            sources.records,
            sources.discovery,
            spool=sources.spool,
            root=sources.root,
            boot_id=boot_id(sources.root),
            fallback=sources.fallback,
            is_patient=sources.is_patient,
        )
        self._idle: list[TrackedJob] = []
        self._gpu_count: int | None = None
        self._logged: set[str] = set()

    def take(self) -> Pass:
        """Make one pass. A job that cannot be read has no sample, and affects no other job."""
        timestamp = rfc3339(self._clock.wall())
        self._track_jobs()
        by_node = self._samples(timestamp, self._read_gpus())
        taken = Pass(by_node, self._read_host())
        self._health.set("jobs", len(self.jobs()))
        self._health.add("samples_read_total", len(taken.samples))
        return taken

    def jobs(self) -> list[TrackedJob]:
        """Return the jobs that the last pass found."""
        return [*self._jobs.values(), *self._idle]

    def save(self) -> None:
        """Keep what the next start of the forwarder needs."""
        for reader, save in (("seen", self._without_cgroup.seen.save), ("names", self._names.save)):
            try:
                save()
            except OSError as error:  # the next pass tries again
                self._failed(reader, error)

    def _track_jobs(self) -> None:
        """Find the running jobs. Keep the state of those that the last pass found."""
        records, now = self._sources.records, self._clock.uptime()
        records.refresh()
        jobs: dict[tuple[str, int], TrackedJob] = {}
        recorded = {record.node for record in records.all() if record.node}
        layouts = self._sources.discovery.layouts(recorded)
        self._names.learn(recorded, [top for layout in layouts for top in layout.tops()])
        for layout in layouts:
            for folder in layout.folders():
                # A requeued job has the same path. Its new inode starts new counters.
                key = (folder.path, folder.inode)
                job = self._jobs.get(key) or TrackedJob(layout, folder)
                job.find_record(records, now=now, young_seconds=self._young_seconds)
                jobs[key] = job
        self._jobs = jobs
        self._idle = self._without_cgroup.find(list(jobs.values()), now)

    def _samples(self, timestamp: str, node_gpus: NodeGpus) -> dict[str, list[dict[str, Any]]]:
        gpus = self._gpus.assign(node_gpus, self.jobs())
        self._refresh_cpus()
        by_node: dict[str, list[dict[str, Any]]] = {node: [] for node in self._names.all()}
        for job in self.jobs():
            is_idle = job.layout is NO_CGROUP
            sample = idle_sample(job.job_id, timestamp) if is_idle else self._sample(job, timestamp)
            node = self._node_of(job)
            if sample is not None and node is not None:
                by_node.setdefault(node, []).append(with_gpus(sample, gpus.get(job, ())))
        if any(by_node.values()):
            self._gpus.forget()
        return by_node

    def _node_of(self, job: TrackedJob) -> str | None:
        try:
            return self._names.of_job(job.record.node if job.record else None, job.folder.path)
        except UnknownNodeError as error:
            self._failed("node", error)
            return None

    def _sample(self, job: TrackedJob, timestamp: str) -> dict[str, Any] | None:
        reading = job.read()
        if isinstance(reading, Exception):
            self._failed(job.layout.name, reading)
            return None
        if reading is None:
            return None
        for error in reading.unread:
            self._failed(job.layout.name, error)
        # Read the clock for each job: a pass over 1,000 jobs is long enough to distort a rate.
        try:
            percent = job.percent(Count(self._clock.uptime(), reading.cpu_seconds), self._cpus)
        except UnknownCpusError as error:
            self._failed("cpus", error)
            return None
        if not job.job_id:
            self._failed("sluid", ValueError(f"no Prolog record has the SLUID {job.folder.name}"))
            return None
        if percent is None:
            return None
        reading = reading._replace(oom_kills=job.oom_kills(reading.oom_kills))
        return sample_of(job.job_id, timestamp, percent, reading)

    def _read_gpus(self) -> NodeGpus:
        """Read all GPUs. While no job runs, read them once to count them, then not at all."""
        # A reading can wake an idle GPU from its low-power state.
        if not self.jobs() and self._gpu_count is not None:
            self._gpus.forget()
            return NodeGpus()
        gpus = self._gpus.read()
        # The most so far: rocm-smi reads nothing in most passes, and a lost GPU may come back.
        self._gpu_count = max(self._gpu_count or 0, len(gpus.readings))
        return gpus

    def _refresh_cpus(self) -> None:
        try:
            self._cpus.refresh(self._names.own())
        except (OSError, ValueError) as error:
            self._failed("host", error)

    def _read_host(self) -> dict[str, Any]:
        host, errors = read_parts(self._sources.root)
        for error in errors:
            self._failed("host", error)
        if host and self._gpu_count:
            host["gpus"] = self._gpu_count
        return host

    def _failed(self, reader: str, error: Exception) -> None:
        """Count every failure. Log the first one of each kind."""
        self._health.add("reader_errors_total", label=reader)
        kind = f"{reader} {type(error).__name__}"
        if kind not in self._logged:
            self._logged.add(kind)
            _log.warning(
                "%s: reading failed: %s (further failures are only counted in "
                "hpcobs_forwarder_reader_errors_total)",
                reader,
                error,
            )


class NodeWork:
    """Takes samples, and hands a batch to the spool every ``push_seconds``."""

    def __init__(
        self,
        sampler: Sampler,
        writer: BatchWriter,
        *,
        records: Records,
        cluster_name: str | None,
        fallback_cluster_name: str | None,
        push_seconds: float,
        clock: Clock,
    ) -> None:
        """Read nothing yet."""
        self.sampler = sampler
        self._writer = writer
        self._records = records
        self._cluster_name = cluster_name
        self._fallback_cluster_name = fallback_cluster_name
        self._push_seconds = push_seconds
        self._clock = clock
        # Nodes that were booted together must not all push in the same second.
        self._push_at = clock.uptime() + random.uniform(0, push_seconds)  # noqa: S311 - no secret

    def tick(self) -> None:
        """Sample all jobs, and complete the batch if a push is due."""
        taken = self.sampler.take()
        self.sampler.save()
        self._writer.add_nodes(taken.by_node, taken.host, self.cluster_name())
        now = self._clock.uptime()
        if now >= self._push_at:
            self._push_at = now + self._push_seconds
            self._writer.seal(self.cluster_name())

    def close(self) -> None:
        """Hand the last batch to the spool."""
        self.sampler.save()
        self._writer.seal(self.cluster_name())

    def cluster_name(self) -> str | None:
        """Return the configured cluster name, else the Prolog's, else the one in slurm.conf."""
        # Events and samples of a job must name the same cluster. The hooks prefer the configured
        # name and fall back to Slurm's, which the Prolog's record repeats.
        if self._cluster_name:
            return self._cluster_name
        names = (record.cluster_name for record in self._records.all())
        return next(filter(None, names), self._fallback_cluster_name)
