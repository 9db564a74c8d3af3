"""The contract's sample batch as it is posted: field names, types and bounds.

Unknown fields are rejected. Bounds keep every value within its column, and sums over a job's nodes
within a bigint.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Raw, Struct

MAX_SAMPLES = 5000
MAX_GPUS = 256

# The text of job and GPU ids is checked in batches.py. A pattern here would be matched for every
# sample, which takes longer than all other checks.
JobId = Annotated[str, Meta(min_length=1, max_length=255)]
GpuId = Annotated[str, Meta(min_length=1, max_length=255)]
NodeName = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=r"\A[^\x00-\x20\x7f-\x9f\ufffd,]+\Z")
]
ClusterName = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9][A-Za-z0-9_-]*\Z")
]
Timestamp = Annotated[datetime, Meta(tz=True)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Megabytes = Annotated[int, Meta(ge=0, le=1 << 40)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
SmallCount = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
Quantity = Annotated[float, Meta(ge=0, le=1e15)]
Celsius = Annotated[float, Meta(ge=-273.15, le=1000)]


# gc=False: entries hold no cycles, so the garbage collector need not track thousands of them.
class GpuEntry(Struct, forbid_unknown_fields=True, gc=False):
    """One GPU's reading within a sample. None is "not read".

    ``shared`` is true where several jobs use the GPU.
    """

    gpu_id: GpuId
    gpu_vendor: Literal["nvidia", "amd"]
    utilization_percent: Percent | None = None
    memory_used_mb: Megabytes | None = None
    memory_total_mb: Megabytes | None = None
    power_watts: Quantity | None = None
    temperature_celsius: Celsius | None = None
    shared: bool | None = None


class SampleEntry(Struct, forbid_unknown_fields=True, gc=False):
    """One sample of the batch's node."""

    job_id: JobId
    timestamp: Timestamp
    cpu_usage: Percent
    memory_usage_mb: Megabytes
    gpu_usage: Percent | None = None
    memory_peak_mb: Megabytes | None = None
    oom_kills: Count | None = None
    cpu_seconds_total: Quantity | None = None
    cpu_throttled_seconds_total: Quantity | None = None
    io_read_bytes_total: Count | None = None
    io_write_bytes_total: Count | None = None
    gpus: Annotated[list[GpuEntry], Meta(max_length=MAX_GPUS)] = []


class HostEntry(Struct, forbid_unknown_fields=True, gc=False):
    """A node's report of itself. None is "not read"."""

    cpus: SmallCount | None = None
    memory_total_mb: Megabytes | None = None
    memory_used_mb: Megabytes | None = None
    cpu_load: Quantity | None = None
    gpus: SmallCount | None = None


class Envelope(Struct, forbid_unknown_fields=True):
    """A batch with its samples as raw JSON, to be decoded one by one."""

    node: NodeName
    batch_id: UUID
    samples: Annotated[list[Raw], Meta(max_length=MAX_SAMPLES)]
    cluster_name: ClusterName | None = None
    host: HostEntry | None = None


class SampleBatch(Struct, forbid_unknown_fields=True):
    """A whole batch of one node. A batch without samples shows that the node is alive."""

    node: NodeName
    batch_id: UUID
    samples: Annotated[list[SampleEntry], Meta(max_length=MAX_SAMPLES)]
    cluster_name: ClusterName | None = None
    host: HostEntry | None = None
