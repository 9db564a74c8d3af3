"""Check that the node's GPUs can be read, and that each job's GPUs are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.node.cgroups.files import job_id_in
from hpcobs_forwarder.node.gpus.claims import claims_of
from hpcobs_forwarder.node.gpus.detection import Gpus
from hpcobs_forwarder.node.gpus.mapping import NodeGpus, gpus_of_job, used_by_processes
from hpcobs_forwarder.node.gpus.readings import GpuError
from hpcobs_forwarder.node.gpus.slurm_order import SlurmGpus
from hpcobs_forwarder.node.tracking import TrackedJob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.node.cgroups.layout import Layout
    from hpcobs_forwarder.node.gpus.readings import GpuReader, GpuReading
    from hpcobs_forwarder.node.gpus.slurm_order import SlurmOrder
    from hpcobs_forwarder.node.records import Records

_KNOWN_BY_UUID = (
    "see that `slurmd -G` works as root on this node, and install it as /usr/sbin/slurmd; or name "
    "each GPU by File= in a gres.conf beside slurm.conf, without AutoDetect and with one Type; or, "
    "for NVIDIA, use Slurm 25.11 with AutoDetect=nvml in gres.conf, which gives the Prolog UUIDs"
)


def examine(config: Config, layouts: Sequence[Layout], records: Records) -> Iterator[Finding]:
    """Check the libraries, Slurm's order of the GPUs, and the GPUs of the running jobs."""
    root = config.root.rstrip("/")
    readers = list(Gpus(config.gpus, root, every_pass=True))
    jobs = _tracked(layouts, records)
    if not readers:
        yield _without_readers(config.gpus, jobs)
    readings: list[GpuReading] = []
    for reader in readers:
        found, finding = _read(reader)
        readings += found
        yield finding
    if readings:
        node = NodeGpus(readings, any(reader.is_partial for reader in readers))
        yield from _assigned(node, jobs, records, root)


def _without_readers(wanted: str, jobs: Sequence[TrackedJob]) -> Finding:
    if wanted != "none" and any(claims_of(job.record) for job in jobs):
        return failure(
            "Slurm gives GPUs to jobs, but the device files of the GPUs are not on this node",
            "load the driver of NVIDIA or AMD, or set HPCOBS_GPUS=none for GPUs of another vendor",
        )
    return ok(f"no GPUs: this node has no device files of GPUs (HPCOBS_GPUS={wanted})")


def _assigned(
    node: NodeGpus, jobs: Sequence[TrackedJob], records: Records, root: str
) -> Iterator[Finding]:
    slurm = SlurmGpus(root)
    claims = [claim for job in jobs for claim in claims_of(job.record)]
    if not claims or any(claim.uuid is None for claim in claims):
        # Where Slurm gives UUIDs, its order does not matter.
        yield _order(slurm.of_record(next(iter(records.all()), None)))
    yield from _jobs(node, jobs, slurm, root)


def _read(reader: GpuReader) -> tuple[Sequence[GpuReading], Finding]:
    missing = reader.missing()
    if missing is not None:
        return (), failure(f"{reader.name} GPUs cannot be read", missing)
    try:
        readings = reader.read()
    except GpuError as error:
        return (), failure(f"{reader.name} GPUs cannot be read", str(error))
    return readings, _readable(reader, readings)


def _readable(reader: GpuReader, readings: Sequence[GpuReading]) -> Finding:
    tool = "nvidia-smi" if reader.name == "nvidia" else "rocm-smi"
    names = ", ".join(reading.gpu_id for reading in readings)
    if not readings:
        return failure(
            f"{reader.name} GPUs: the node has their device files, but the library lists no GPU",
            f"check the GPUs with {tool}; a forwarder in a container needs the device files of all",
        )
    if all(reading.is_blank for reading in readings):
        return failure(
            f"{reader.name} GPUs: {names}; no value of any GPU can be read",
            f"check the GPUs with {tool}; update the library to the version of the driver",
        )
    if reader.unread:
        return warning(
            f"{reader.name} GPUs: {names}; not read: {', '.join(reader.unread)}",
            f"check the GPU with {tool}; drain the node if the GPU has failed",
        )
    return ok(f"{reader.name} GPUs: {names}")


def _order(known: SlurmOrder) -> Finding:
    if known.order is None:
        return warning(f"the order of Slurm's GPUs is not known: {known.source}", _KNOWN_BY_UUID)
    if known.order.is_detected:
        return ok(f"{known.source}: slurmd detects the GPUs and chooses their order")
    return ok(f"{known.source}: Slurm has {len(known.order.devices)} GPUs on this node")


def _tracked(layouts: Sequence[Layout], records: Records) -> list[TrackedJob]:
    jobs = [TrackedJob(layout, folder) for layout in layouts for folder in layout.folders()]
    for job in jobs:
        job_id = job_id_in(job.folder.name)
        job.record = records.of_job(job_id) if job_id else records.of_sluid(job.folder.name)
    return jobs


def _jobs(
    node: NodeGpus, jobs: Sequence[TrackedJob], slurm: SlurmGpus, root: str
) -> Iterator[Finding]:
    used = used_by_processes(node.readings, f"{root}/proc")
    for job in jobs:
        found, unknown = gpus_of_job(node, job, used, slurm)
        names = ", ".join(gpu.gpu_id for gpu in found) or "none"
        if unknown:
            yield failure(
                f"{job.folder.name}: GPUs found: {names}; not found: {'; '.join(unknown)}",
                _KNOWN_BY_UUID,
            )
        elif found:
            yield ok(f"{job.folder.name} has the GPUs {names}")
