"""The GPU readings of a sample are stored with it or not at all, on every path."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.domain.samples import GpuSample, QueuedSample, Sample
from hpcobs.ports.clock import utc_now
from hpcobs.ports.samples import WriteBatch
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.timings import OperationTimings

if TYPE_CHECKING:
    from tests.collector.conftest import Site

BEGINNING = utc_now().replace(microsecond=0) - timedelta(hours=1)
GPU_IDS = ("0", "1", "2")
STORED = 'SELECT job_id, "timestamp", node, memory_usage_mb FROM metric_samples'
READ = 'SELECT job_id, "timestamp", node, memory_used_mb, gpu_id FROM gpu_samples'
LATEST = "SELECT job_id, sampled_at, node, memory_used_mb, gpu_id FROM job_gpus"

# The job, the minute and the GPUs of a sample. Few of each, so that most are duplicates.
samples = st.tuples(st.sampled_from("12"), st.integers(0, 3), st.sets(st.sampled_from(GPU_IDS)))
loads = st.lists(st.lists(samples, max_size=6), min_size=1, max_size=5)


def queued(number: int, job_id: str, minute: int, gpus: set[str]) -> QueuedSample:
    """Make a sample. Its memory, and that of its GPUs, is the number of its content."""
    place = (job_id, BEGINNING + timedelta(minutes=minute), "n1")
    readings = [GpuSample(*place, gpu, "amd", memory_used_mb=number) for gpu in sorted(gpus)]
    sample = Sample(*place, cpu_usage=1, memory_usage_mb=number)
    return QueuedSample(**sample._asdict(), batch_id="b", position=number, gpus=readings)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(loads=loads, known_after=st.integers(0, 5), look_up=st.booleans())
def test_readings_are_those_of_stored_samples(
    site: Site,
    loads: list[list[tuple[str, int, set[str]]]],
    known_after: int,
    *,
    look_up: bool,
) -> None:
    site.query("TRUNCATE jobs, job_nodes, job_gpus, metric_samples, gpu_samples, waiting_samples")
    writer = PostgresSampleWriter(site.connection, OperationTimings())
    contents: dict[int, QueuedSample] = {}
    for place, load in enumerate(loads):
        if place == known_after:
            site.start_jobs("1", "2", timestamp=BEGINNING)
        made = [queued(len(contents) + n, *sample) for n, sample in enumerate(load)]
        contents |= {one.memory_usage_mb: one for one in made}
        writer._write(WriteBatch(samples=made, hosts=[], rejected=[]), look_up=look_up)
    site.start_jobs("1", "2", timestamp=BEGINNING)
    writer.settle_waiting(reject_before=BEGINNING)
    stored = site.query(STORED)
    assert {key[:3] for key in stored} == {(*one[:2], "n1") for one in contents.values()}
    expected = {(*key, gpu.gpu_id) for key in stored for gpu in contents[key[3]].gpus}
    assert set(site.query(READ)) == expected
    assert set(site.query(LATEST)) <= expected
