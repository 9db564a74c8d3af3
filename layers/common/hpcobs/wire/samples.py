"""The contract's sample batch as it is posted: field names, types and bounds.

Unknown fields are rejected. Bounds keep every value within its column, and sums over a job's nodes
within a bigint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Raw, Struct

from hpcobs.domain import values

MAX_SAMPLES = 5000
MAX_GPUS = 256

# The text of job and GPU ids is checked in batches.py. A pattern here would be matched for every
# sample, which takes longer than all other checks. The same holds for times.
JobId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=values.MAX_TEXT,
        extra_json_schema={"pattern": f"^{values.JOB_ID}$"},
    ),
]
GpuId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=values.MAX_TEXT,
        extra_json_schema={"pattern": f"^{values.GPU_ID}$"},
    ),
]
NodeName = Annotated[
    str, Meta(min_length=1, max_length=values.MAX_TEXT, pattern=rf"\A{values.NODE}\Z")
]
ClusterName = Annotated[
    str, Meta(min_length=1, max_length=values.MAX_CLUSTER, pattern=rf"\A{values.CLUSTER}\Z")
]
BatchId = Annotated[str, Meta(pattern=rf"\A{values.UUID}\Z", extra_json_schema={"format": "uuid"})]
if TYPE_CHECKING:
    from datetime import datetime

    Timestamp = datetime
else:
    # msgspec's own times are rounded to the microsecond, and may have a blank for the T. So
    # batches.py makes the times of these texts, each once for all samples that share it.
    Timestamp = Annotated[
        str, Meta(extra_json_schema={"format": "date-time", "pattern": f"^{values.TIME}$"})
    ]
Percent = Annotated[float, Meta(ge=0, le=values.PERCENT_MAX)]
Megabytes = Annotated[int, Meta(ge=0, le=values.MEMORY_MB_MAX)]
Count = Annotated[int, Meta(ge=0, le=values.INT8_MAX)]
SmallCount = Annotated[int, Meta(ge=0, le=values.INT4_MAX)]
Quantity = Annotated[float, Meta(ge=0, le=values.QUANTITY_MAX)]
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
    batch_id: BatchId
    samples: Annotated[list[Raw], Meta(max_length=MAX_SAMPLES)]
    cluster_name: ClusterName | None = None
    host: HostEntry | None = None


class SampleBatch(Struct, forbid_unknown_fields=True):
    """A whole batch of one node. A batch without samples shows that the node is alive."""

    node: NodeName
    batch_id: BatchId
    samples: Annotated[list[SampleEntry], Meta(max_length=MAX_SAMPLES)]
    cluster_name: ClusterName | None = None
    host: HostEntry | None = None
