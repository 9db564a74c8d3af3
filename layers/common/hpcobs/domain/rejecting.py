"""Make a rejected sample of one that could be read, always in the same form.

A rejected sample is known by its content, so the same sample has to have the same JSON, wherever it
is rejected: where it is received, by the database, or after it has waited for its job.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

from hpcobs.domain.samples import SEALED, GpuSample, QueuedSample, RejectedSample

if TYPE_CHECKING:
    from collections.abc import Iterable

MEASURED = QueuedSample._fields[2:11]
OF_GPU = GpuSample._fields[3:]


def rejected_sample(sample: QueuedSample, reason: str) -> RejectedSample:
    """Return the sample as rejected, with its JSON as its node could send it again."""
    return RejectedSample(
        batch_id=sample.batch_id,
        position=sample.position,
        node=sample.node,
        job_id=sample.reported_id or sample.job_id,
        reason=reason,
        payload=json.dumps(_content(sample), separators=(",", ":")),
        cluster_name=sample.cluster_name,
    )


def sealed_sample(sample: QueuedSample) -> RejectedSample:
    """Return a sample of a dropped day as rejected."""
    return rejected_sample(sample, f"samples[{sample.position}].timestamp: {SEALED}")


def _content(sample: QueuedSample) -> dict[str, Any]:
    content: dict[str, Any] = {
        "job_id": sample.reported_id or sample.job_id,
        "timestamp": sample.timestamp.astimezone(UTC).isoformat(),
    }
    content |= _known(zip(MEASURED, sample[2:11], strict=True))
    if sample.gpus:
        devices = sorted(sample.gpus, key=lambda gpu: gpu.gpu_id)
        content["gpus"] = [_known(zip(OF_GPU, gpu[3:], strict=True)) for gpu in devices]
    return content


def _known(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the values that are not None. A whole number has one form: 50, not 50.0."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values
        if value is not None
    }
