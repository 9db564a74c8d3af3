"""A full disk, simulated by the kernel's limit for the size of a file."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.spool.batch import decode
from hpcobs_forwarder.spool.journal import JOURNAL, BatchWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.spool.spool import Spool
    from tests.forwarder.clocks import FakeClock

SAMPLE = {"job_id": "1", "cpu_usage": 12.5, "memory_usage_mb": 100}


@pytest.fixture
def limit() -> Iterator[int]:
    """Return 500 bytes, the limit that ``restrict`` may set, and restore the old one afterwards.

    The kernel writes a part and then fails with EFBIG, as a full disk does with ENOSPC.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield 500
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def restrict(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_pass_over_disk_limit_stays_in_memory(
    spool: Spool, clock: FakeClock, limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    writer = BatchWriter(spool, "n1", clock)
    writer.add([SAMPLE], {"cpus": 8}, None)
    restrict(limit)
    for _ in range(3):
        writer.add([SAMPLE] * 9, {"cpus": 8}, None)

    on_disk = decode(Path(spool.samples, JOURNAL).read_bytes())
    writer.seal(None)

    assert (on_disk.samples, on_disk.torn, on_disk.damaged) == (1, False, 0)
    assert caplog.text.count("cannot be written") == 1
    (entry,) = spool.waiting_batches()
    assert decode(entry.read()).samples == 28
    assert not Path(spool.samples, JOURNAL).exists()


def test_free_disk_gets_all_samples_again(spool: Spool, clock: FakeClock, limit: int) -> None:
    writer = BatchWriter(spool, "n1", clock)
    restrict(limit)
    writer.add([SAMPLE] * 9, {"cpus": 8}, None)
    restrict(1 << 20)
    writer.add([SAMPLE], {"cpus": 8}, None)

    assert decode(Path(spool.samples, JOURNAL).read_bytes()).samples == 10


def test_batch_stays_plain_if_compression_fails(spool: Spool, clock: FakeClock, limit: int) -> None:
    writer = BatchWriter(spool, "n1", clock)
    writer.add([{**SAMPLE, "job_id": str(number)} for number in range(400)], {}, None)
    writer.seal(None)
    (entry,) = spool.waiting_batches()
    restrict(limit)

    spool.compress(entry)

    assert spool.waiting_batches() == [entry]
