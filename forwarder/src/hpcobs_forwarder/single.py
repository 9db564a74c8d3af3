"""The commands for an administrator: send one sample of each job, print it, or show a table."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING

from hpcobs_forwarder.clock import SystemClock
from hpcobs_forwarder.compose import Parts, sources
from hpcobs_forwarder.controller.compose import controller_work, slurm_source
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.daemon.config import NODE
from hpcobs_forwarder.node.sampler import Sampler
from hpcobs_forwarder.spool.batch import decode, host_line, opening_line, samples_line
from hpcobs_forwarder.spool.journal import BatchWriter

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.source import Source
    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.node.sampler import Pass
    from hpcobs_forwarder.node.tracking import TrackedJob

_log = logging.getLogger(__name__)

_BETWEEN_PASSES_SECONDS = 1.0
"""CPU use is the difference between two passes."""


def once(config: Config) -> int:
    """Make one pass and send all queued entries. Return 1 if something could not be sent."""
    parts = Parts(config)
    parts.spool.open()
    try:
        parts.janitor.recover()
        passed = _pass(parts)
        sent = parts.sender.drain()
        _log.info(
            "%.0f samples and %.0f events were sent, %d files are queued",
            parts.health.value("samples_sent_total"),
            parts.health.value("events_sent_total"),
            len(parts.spool.waiting_batches()) + len(parts.spool.waiting_events()),
        )
        return 0 if passed and sent else 1
    finally:
        parts.spool.close()
        parts.kept.end()


def _pass(parts: Parts) -> bool:
    """Make one pass. Return False if Slurm does not respond."""
    config = parts.config
    if config.role != NODE:
        return controller_work(config, parts.spool, parts.health, parts.clock).sync()
    work = parts.node_work(every_pass=True)
    taken = _taken(work.sampler)
    work.sampler.save()
    cluster_name = work.cluster_name()
    writer = BatchWriter(parts.spool, config.node, parts.clock)
    writer.add_nodes(taken.by_node, taken.host, cluster_name)
    writer.seal(cluster_name)
    return True


def dry_run(config: Config) -> int:
    """Print one batch of each node on this host, without spool and site.

    Return 1 if Slurm does not respond.
    """
    if config.role != NODE:
        return _print_cluster(slurm_source(config, SystemClock()))
    work = Parts(config).node_work(every_pass=True)
    taken, cluster_name = _taken(work.sampler), work.cluster_name()
    for node, samples in taken.by_node.items():
        lines = [opening_line(node, cluster_name), samples_line(samples)]
        if taken.host:
            lines.append(host_line(taken.host))
        _print(json.loads(decode(b"".join(lines)).body()))
    return 0


def _print_cluster(source: Source) -> int:
    try:
        jobs, nodes = source.jobs(), source.nodes()
    except SourceError as error:
        _log.error("%s: %s", source.name, error)
        return 1
    return _print({"cluster_name": source.cluster_name, "jobs": jobs, "nodes": nodes})


def _print(body: object) -> int:
    sys.stdout.write(json.dumps(body, indent=2) + "\n")
    return 0


def _taken(sampler: Sampler) -> Pass:
    sampler.take()
    time.sleep(_BETWEEN_PASSES_SECONDS)
    return sampler.take()


def show_jobs(config: Config) -> int:
    """Print a line for each job: the values that are sent, and more values of the kernel."""
    parts = Parts(config)
    sampler = Sampler(
        sources(config, every_pass=True),
        interval_seconds=1.0,
        health=parts.health,
        clock=parts.clock,
    )
    samples = {sample["job_id"]: sample for sample in _taken(sampler).samples}
    if not sampler.jobs():
        _log.info(
            "no Slurm job was found on this node; `hpcobs-forwarder doctor` shows where it looks"
        )
        return 0
    sys.stdout.write(_HEADING)
    for job in sampler.jobs():
        sys.stdout.write(_row(job, samples.get(job.job_id, {})))
    return 0


_COLUMNS = (
    ("JOB", 12), ("CPU%", 7), ("MEM_MB", 9), ("ANON_MB", 9), ("FILE_MB", 9), ("PEAK_MB", 9),
    ("LIMIT_MB", 9), ("OOM", 4), ("CPU_PSI", 8), ("MEM_PSI", 8), ("IO_PSI", 8), ("GPU%", 6),
)  # fmt: skip
_HEADING = " ".join(name.rjust(width) for name, width in _COLUMNS) + "\n"


def _row(job: TrackedJob, sample: dict[str, object]) -> str:
    try:
        details = job.layout.details(job.folder)
    except (OSError, ValueError):
        return ""  # the job has just ended
    sizes = (details.anonymous_bytes, details.file_bytes, details.limit_bytes)
    anonymous, file, limit = (None if size is None else size >> 20 for size in sizes)
    values = (
        job.job_id or job.folder.name,
        sample.get("cpu_usage"),
        sample.get("memory_usage_mb"),
        anonymous,
        file,
        sample.get("memory_peak_mb"),
        limit,
        sample.get("oom_kills"),
        details.cpu_pressure_percent,
        details.memory_pressure_percent,
        details.io_pressure_percent,
        sample.get("gpu_usage"),
    )
    cells = ("-" if value is None else str(value) for value in values)
    return " ".join(cell.rjust(width) for cell, (_, width) in zip(cells, _COLUMNS)) + "\n"
