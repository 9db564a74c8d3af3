"""One pass over the node: a sample of every job that can be read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs_forwarder.clock import rfc3339
from hpcobs_forwarder.gpus.mapping import gpus_of_job, used_by_processes
from hpcobs_forwarder.gpus.readings import GpuError
from hpcobs_forwarder.rates import Count
from hpcobs_forwarder.readers.host import read_cpus, read_host
from hpcobs_forwarder.samples import sample_of, with_gpus
from hpcobs_forwarder.tracking import TrackedJob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.gpus.readings import GpuReader, GpuReading
    from hpcobs_forwarder.readers.discovery import Discovery
    from hpcobs_forwarder.records import Records

_log = logging.getLogger(__name__)


class Pass(NamedTuple):
    """What one pass has seen, in the shape of the contract's sample batch."""

    samples: list[dict[str, Any]]
    host: dict[str, Any]


class Sources(NamedTuple):
    """Where a node's readings come from; ``root`` holds its /proc and /sys."""

    root: str
    discovery: Discovery
    records: Records
    gpus: Iterable[GpuReader] = ()


class Sampler:
    """Takes samples, one pass after the other.

    The use of CPUs is the difference of two passes, so a job has its first sample in the second
    pass that sees it; in the first, if its Prolog told when it began not two intervals ago.
    """

    def __init__(
        self, sources: Sources, *, interval_seconds: float, health: Health, clock: Clock
    ) -> None:
        """Nothing is read yet."""
        self._sources = sources
        self._young_seconds = 2 * interval_seconds
        self._health = health
        self._clock = clock
        self._jobs: dict[tuple[str, int], TrackedJob] = {}
        self._gpu_count: int | None = None
        self._said: set[str] = set()

    def take(self) -> Pass:
        """One pass. A job that cannot be read has no sample, and costs no other job its own."""
        timestamp = rfc3339(self._clock.wall())
        self._follow()
        gpus = self._read_gpus()
        users = used_by_processes(gpus, f"{self._sources.root}/proc")
        host_cpus = self._host_cpus()
        samples: list[dict[str, Any]] = []
        for job in self._jobs.values():
            sample = self._sample(job, timestamp, host_cpus)
            if sample is not None:
                samples.append(with_gpus(sample, gpus_of_job(gpus, job, users)))
        self._health.set("jobs", len(self._jobs))
        self._health.add("samples_read_total", len(samples))
        return Pass(samples, self._read_host())

    def jobs(self) -> list[TrackedJob]:
        """The jobs that the last pass has seen."""
        return list(self._jobs.values())

    def _follow(self) -> None:
        """Finds the jobs that run now; keeps what is known of those that ran before."""
        records, now = self._sources.records, self._clock.uptime()
        records.refresh()
        jobs: dict[tuple[str, int], TrackedJob] = {}
        for layout in self._sources.discovery.layouts():
            for folder in layout.folders():
                key = (folder.path, folder.inode)
                job = self._jobs.get(key) or TrackedJob(layout, folder)
                job.find_record(records, now=now, young_seconds=self._young_seconds)
                jobs[key] = job
        self._jobs = jobs

    def _sample(self, job: TrackedJob, timestamp: str, host_cpus: int) -> dict[str, Any] | None:
        reading = job.read()
        if isinstance(reading, Exception):
            self._failed(job.layout.name, reading)
            return None
        if reading is None:
            return None
        percent = job.percent(Count(self._clock.uptime(), reading.cpu_seconds), host_cpus)
        if not job.job_id:
            self._failed("sluid", ValueError("no Prolog record names the job of this folder"))
            return None
        if percent is None:
            return None
        reading = reading._replace(oom_kills=job.oom_kills(reading.oom_kills))
        return sample_of(job.job_id, timestamp, percent, reading)

    def _read_gpus(self) -> list[GpuReading]:
        """All GPUs; they are left alone while no job runs, but for one look to count them."""
        if not self._jobs and self._gpu_count is not None:
            return []
        readings: list[GpuReading] = []
        for reader in self._sources.gpus:
            try:
                readings += reader.read()
            except GpuError as error:
                self._failed(reader.name, error)
                continue
            for told in reader.unread:
                self._failed(reader.name, GpuError(told))
        self._gpu_count = max(self._gpu_count or 0, len(readings))
        return readings

    def _host_cpus(self) -> int:
        try:
            return read_cpus(self._sources.root)
        except (OSError, ValueError) as error:
            self._failed("host", error)
            return 0

    def _read_host(self) -> dict[str, Any]:
        try:
            host: dict[str, Any] = read_host(self._sources.root)._asdict()
        except (OSError, ValueError) as error:
            self._failed("host", error)
            return {}
        if self._gpu_count:
            host["gpus"] = self._gpu_count
        return host

    def _failed(self, reader: str, error: Exception) -> None:
        """Counts every failure; says each kind once."""
        self._health.add("reader_errors_total", label=reader)
        kind = f"{reader} {type(error).__name__}"
        if kind not in self._said:
            self._said.add(kind)
            _log.warning("%s: no reading: %s (said once)", reader, error)
