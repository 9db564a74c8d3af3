"""Read the node's GPUs in each pass, and assign them to the jobs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.gpus.mapping import NodeGpus, gpus_of_job, used_by_processes
from hpcobs_forwarder.node.gpus.readings import GpuError
from hpcobs_forwarder.node.gpus.slurm_order import SlurmGpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hpcobs_forwarder.node.gpus.readings import GpuReader, GpuReading
    from hpcobs_forwarder.node.tracking import TrackedJob

    Failed = Callable[[str, Exception], None]

UNKNOWN = "gpu_of_job"
"""The reader under which a GPU counts that Slurm gave to a job, and that was not found."""


class GpuAssignment:
    """The GPUs of each job, pass by pass. ``failed`` is called with each error and its source."""

    def __init__(
        self,
        readers: Iterable[GpuReader],
        root: str,
        failed: Failed,
        slurm: SlurmGpus | None = None,
    ) -> None:
        """Read nothing yet."""
        self._readers = readers
        self._root = root
        self._failed = failed
        self._slurm = slurm or SlurmGpus(root)
        self._waiting: dict[str, Sequence[GpuReading]] = {}

    def read(self) -> NodeGpus:
        """Read all GPUs. A library that fails costs its own GPUs."""
        readings: list[GpuReading] = []
        is_partial = is_read = False
        waiting, self._waiting = self._waiting, {}
        for reader in self._readers:
            is_read = True
            try:
                found = reader.read()
            except GpuError as error:
                self._failed(reader.name, error)
                is_partial = True
                continue
            for failure in reader.unread:
                self._failed(reader.name, GpuError(failure))
            if reader.is_partial and not found and reader.name in waiting:
                readings += waiting[reader.name]
                continue
            self._waiting[reader.name] = found
            is_partial = is_partial or reader.is_partial
            readings += found
        return NodeGpus(readings, is_partial, is_read and not is_partial)

    def forget(self) -> None:
        """Forget the readings, because samples have them now, or they are old.

        Other readings are kept for the next pass, if their reader skips that one. A job has no
        sample in the first pass that finds it, and rocm-smi is read in one pass of six.
        """
        self._waiting = {}

    def assign(
        self, node: NodeGpus, jobs: Sequence[TrackedJob]
    ) -> dict[TrackedJob, list[GpuReading]]:
        """Return the GPUs of each job. Those that several jobs have are marked as shared."""
        if not (node.readings or node.is_complete):
            return {}
        used = used_by_processes(node.readings, f"{self._root}/proc")
        assigned: dict[TrackedJob, list[GpuReading]] = {}
        for job in jobs:
            assigned[job], unknown = gpus_of_job(node, job, used, self._slurm)
            # Where GPUs could not be read, these errors are counted instead.
            for reason in () if node.is_partial else unknown:
                self._failed(UNKNOWN, GpuError(f"job {job.job_id or job.folder.name}: {reason}"))
        return _marked(assigned)


def _marked(
    assigned: dict[TrackedJob, list[GpuReading]],
) -> dict[TrackedJob, list[GpuReading]]:
    jobs = Counter(reading.key for gpus in assigned.values() for reading in gpus)
    return {
        job: [one._replace(shared=True) if jobs[one.key] > 1 else one for one in gpus]
        for job, gpus in assigned.items()
    }
