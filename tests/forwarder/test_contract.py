"""The messages of forwarder and hooks, checked by the decoders of the service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hpcobs.http import validation
from hpcobs.http.schemas import events, sync
from hpcobs.wire.batches import decode_batch
from hpcobs_forwarder.controller import history
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.nodes import node_of
from hpcobs_forwarder.node.cgroups.layout import Reading
from hpcobs_forwarder.node.samples import sample_of, with_gpus
from hpcobs_forwarder.spool.batch import decode, host_line, opening_line, samples_line
from tests.forwarder.hooks import RECORDED as HOOKS
from tests.forwarder.hooks import Cluster, recorded
from tests.forwarder.slurm_json import NODES, RECORDED, SACCT
from tests.forwarder.test_gpu_mapping import gpu

if TYPE_CHECKING:
    from pathlib import Path


def batch(samples: list[dict[str, Any]], host: dict[str, Any]) -> bytes:
    lines = [opening_line("n1", "lab"), samples_line(samples), host_line(host)]
    return decode(b"".join(lines)).body()


def test_full_sample_is_accepted_whole() -> None:
    reading = Reading(12.3456, 5 << 20, 6 << 20, 1, 0.5, 100, 200)
    sample = sample_of("7", "2027-01-15T08:00:10.000Z", 33.333, reading)
    whole = gpu(0, utilization=50)._replace(
        memory_used_mb=1, memory_total_mb=2, power_watts=3.5, temperature_celsius=40.0
    )
    host = {"cpus": 8, "memory_total_mb": 10, "memory_used_mb": 5, "cpu_load": 1.5, "gpus": 4}

    decoded = decode_batch(batch([with_gpus(sample, [whole, gpu(1)])], host))

    assert not decoded.rejected
    assert decoded.entries[0].cpu_usage == 33.33
    assert decoded.entries[0].gpus[0].power_watts == 3.5
    assert decoded.host is not None
    assert decoded.host.gpus == 4


def test_batch_without_samples_is_accepted() -> None:
    assert decode_batch(batch([], {})).entries == []


def test_recorded_hook_calls_are_valid_events(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    for call in HOOKS:
        cluster.run(call["hook"], call["env"])

    for event in cluster.events():
        model: type[events.StartedEvent | events.FinishedEvent] = (
            events.FinishedEvent if "final_state" in event else events.StartedEvent
        )
        assert validation.validated(model, event).to_event().nodes


def test_too_long_names_are_cut(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    nodes = ",".join(f"node-with-a-long-name-{number}" for number in range(100))
    long = {"SLURM_JOB_NAME": "漢" * 341, "SLURM_JOB_NODELIST": nodes}
    cluster.run("PrologSlurmctld", {**recorded("PrologSlurmctld", "1"), **long})

    decoded = validation.validated(events.StartedEvent, cluster.event()).to_event()

    assert decoded.name == "漢" * 255
    assert len(decoded.nodes) == 100


def test_controller_state_sync_is_valid() -> None:
    jobs = [*map(job_of, RECORDED), history.job_of(SACCT)]
    body = {
        "observed_at": "2027-01-15T08:00:10.000Z",
        "cluster_name": "lab",
        "jobs": json.loads(json.dumps(jobs)),
        "nodes": [node_of(raw) for raw in NODES],
    }

    envelope = validation.validated(sync.StateSync, body)
    assert envelope.jobs is not None
    for job in envelope.jobs:
        validation.validated(sync.SeenJob, job).to_event(
            observed_at=envelope.observed_at, cluster_name="lab"
        )
    assert envelope.nodes is not None
    for node in envelope.nodes:
        validation.validated(sync.SeenNode, node)
