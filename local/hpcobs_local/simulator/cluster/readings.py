"""The measurements of the simulated nodes: one reading per node, of the node and its jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from hpcobs.domain.samples import GpuSample, HostReading, Sample
from hpcobs_local.simulator.cluster.patterns import Load, Moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs_local.simulator.cluster.allocation import Placement
    from hpcobs_local.simulator.cluster.hardware import Machine
    from hpcobs_local.simulator.cluster.jobs import MockJob

SYSTEM_MEMORY_MB = 4_000
IDLE_WATTS = 55.0
READ_BYTES_PER_CPU_SECOND = 400_000
WRITE_BYTES_PER_CPU_SECOND = 90_000


class NodeReading(NamedTuple):
    """Everything that one node measures at one moment."""

    host: HostReading
    samples: tuple[Sample, ...]
    gpus: tuple[GpuSample, ...]


@dataclass(slots=True)
class _Counters:
    """A job's counters on one node since its run began there."""

    at: datetime
    cpu_seconds: float = 0.0
    memory_peak_mb: int = 0


class Meters:
    """The meters of all nodes. Counters add up from one reading to the next."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self._machines = machines
        self._counters: dict[tuple[int, int, str], _Counters] = {}

    def read(self, running: Sequence[MockJob], now: datetime) -> list[NodeReading]:
        """Return a reading of each node at ``now``, when these jobs run."""
        # The restart count is part of the key: a requeued job starts with new counters.
        alive = {(job.id, job.restarts, node) for job in running for node in job.nodes}
        self._counters = {key: value for key, value in self._counters.items() if key in alive}
        return [self._node(machine, running, now) for machine in self._machines]

    def _node(self, machine: Machine, running: Sequence[MockJob], now: datetime) -> NodeReading:
        here = [
            (job, placement, _load(job, placement, now))
            for job in running
            for placement in job.placed
            if placement.node == machine.name
        ]
        return NodeReading(
            host=_host(machine, [(job, load) for job, _, load in here], now),
            samples=tuple(self._sample(job, machine.name, load, now) for job, _, load in here),
            gpus=tuple(
                _gpu(machine, job, device, load, now)
                for job, placement, load in here
                for device in placement.devices
            ),
        )

    def _sample(self, job: MockJob, node: str, load: Load, now: datetime) -> Sample:
        counters = self._advanced(job, node, load, now)
        return Sample(
            job_id=str(job.id),
            timestamp=now,
            node=node,
            cpu_usage=round(100 * load.cpu, 2),
            memory_usage_mb=_memory_mb(job, load),
            gpu_usage=round(100 * load.gpu, 1) if job.recipe.gpus else None,
            memory_peak_mb=counters.memory_peak_mb,
            oom_kills=0,
            cpu_seconds_total=round(counters.cpu_seconds, 3),
            cpu_throttled_seconds_total=0.0,
            io_read_bytes_total=int(counters.cpu_seconds * READ_BYTES_PER_CPU_SECOND),
            io_write_bytes_total=int(counters.cpu_seconds * WRITE_BYTES_PER_CPU_SECOND),
        )

    def _advanced(self, job: MockJob, node: str, load: Load, now: datetime) -> _Counters:
        key = (job.id, job.restarts, node)
        counters = self._counters.setdefault(key, _Counters(at=job.started or now))
        seconds = (now - counters.at).total_seconds()
        counters.cpu_seconds += seconds * load.cpu * job.recipe.cpus
        counters.memory_peak_mb = max(counters.memory_peak_mb, _memory_mb(job, load))
        counters.at = now
        return counters


def _load(job: MockJob, placement: Placement, now: datetime) -> Load:
    elapsed = (now - (job.started or now)).total_seconds()
    # A checksum, and not hash(): Python's hash of a text differs between two processes.
    phase = crc32(f"{job.id} {placement.node}".encode()) / 2**32
    progress = min(1.0, elapsed / job.duration.total_seconds())
    load = job.recipe.pattern(Moment(progress, elapsed, phase))
    return Load(*(min(1.0, max(0.0, part)) for part in load))


def _memory_mb(job: MockJob, load: Load) -> int:
    return round(load.memory * job.recipe.memory_mb)


def _host(machine: Machine, loads: list[tuple[MockJob, Load]], now: datetime) -> HostReading:
    memory_mb = SYSTEM_MEMORY_MB + sum(_memory_mb(job, load) for job, load in loads)
    return HostReading(
        node=machine.name,
        seen_at=now,
        cpus=machine.cpus,
        memory_total_mb=machine.memory_mb,
        memory_used_mb=min(memory_mb, machine.memory_mb),
        cpu_load=round(0.2 + sum(load.cpu * job.recipe.cpus for job, load in loads), 2),
        gpus=machine.gpus,
    )


def _gpu(machine: Machine, job: MockJob, device: str, load: Load, now: datetime) -> GpuSample:
    memory_part = 0.75 if load.gpu > 0 else 0.01
    return GpuSample(
        job_id=str(job.id),
        timestamp=now,
        node=machine.name,
        gpu_id=device,
        gpu_vendor=machine.gpu_vendor.value,
        utilization_percent=round(100 * load.gpu, 1),
        memory_used_mb=round(memory_part * machine.gpu_memory_mb),
        memory_total_mb=machine.gpu_memory_mb,
        power_watts=round(IDLE_WATTS + load.gpu * (machine.gpu_watts - IDLE_WATTS), 1),
        temperature_celsius=round(34 + 40 * load.gpu, 1),
    )
