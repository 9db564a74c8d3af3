"""A rejected sample has its job's id wherever the id can be read."""

from __future__ import annotations

import pytest

from hpcobs.wire.batches import decode_batch

BATCH = '{"node": "n1", "batch_id": "6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c", "samples": [%s]}'


@pytest.mark.parametrize(
    ("sample", "job_id"),
    [
        ('{"job_id": "17", "cpu_usage": -1}', "17"),
        ('{"job_id": "17", "cpu_usage": NaN}', "17"),
        ('{"job_id": "17_[1-3]", "timestamp": "today"}', "17_[1-3]"),
        ('{"job_id": "17", "node": "\\u0000"}', "17"),
        ('{"job_id": 17}', None),
        ('{"job_id": "1 7"}', None),
        ('{"job_id": "1\\u0000"}', None),
        ('{"job_id": "%s"}' % ("1" * 256), None),
        ('{"job_id": ["17"]}', None),
        ('{"cpu_usage": -1}', None),
        ('{"job_id": "17",}', None),
        ("[" * 5000 + "]" * 5000, None),
        ('["job_id"]', None),
        ("null", None),
        ("NaN", None),
    ],
)
def test_rejected_sample_has_readable_job(sample: str, job_id: str | None) -> None:
    (rejected,) = decode_batch((BATCH % sample).encode()).rejected
    assert rejected.job_id == job_id
