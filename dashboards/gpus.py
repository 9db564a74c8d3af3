"""The GPUs that are allocated to jobs, and those of them that are idle."""

from __future__ import annotations

from dashboards.model import JOB_LINK, NODE_NAME, SITE, Dashboard, Panel, Query, Variable
from hpcobs.exposition.families import DEVICE

GPU = f'{{{SITE},node=~"$node",gpu_vendor=~"$gpu_vendor"}}'
BUSY = f"hpc_job_gpu_device_utilization_percent{GPU}"
OWNER = f"* on (instance, job_id) group_left (user, name) hpc_job_info{{{SITE}}}"


def _once(expression: str, *more: str) -> str:
    """Return one series for each GPU, however many jobs share it. ``more`` are labels to keep."""
    return f"max by ({', '.join((DEVICE, *more))}) ({expression})"


EACH = _once(BUSY)
POWER = _once(f"hpc_job_gpu_device_power_watts{GPU}")
IDLE_OF_USERS = _once(f"({BUSY} < 5) {OWNER}", "user")

DASHBOARD = Dashboard(
    uid="hpcobs-gpus",
    title="hpcobs / GPUs",
    description="GPUs that are allocated to jobs, and those of them that are idle.",
    variables=(
        Variable(
            name="gpu_vendor",
            metric="hpc_job_gpu_device_utilization_percent",
            label="gpu_vendor",
        ),
        Variable(name="node", metric="hpc_job_gpu_device_utilization_percent", label="node"),
    ),
    panels=(
        Panel(
            title="Allocated GPUs", kind="stat", width=6, height=4,
            queries=(Query(f"count({EACH})"),),
        ),
        Panel(
            title="Idle now", kind="stat", width=6, height=4, thresholds=((1, "orange"),),
            description="Allocated GPUs with a utilization below 5 %.",
            queries=(Query(f"count({EACH} < 5) or vector(0)"),),
        ),
        Panel(
            title="Mean utilization", kind="stat", width=6, height=4, unit="percent", maximum=100,
            queries=(Query(f"avg({EACH})"),),
        ),
        Panel(
            title="Power", kind="stat", width=6, height=4, unit="watt",
            queries=(Query(f"sum({POWER})"),),
        ),
        Panel(
            title="Distribution of utilization", unit="percent", maximum=100,
            queries=(
                Query(f"quantile(0.1, {EACH})", "10 % of the GPUs are below"),
                Query(f"quantile(0.5, {EACH})", "half are below"),
                Query(f"quantile(0.9, {EACH})", "90 % are below"),
            ),
        ),
        Panel(
            title="Idle GPUs by user",
            queries=(Query(f"count by (user) ({IDLE_OF_USERS})", "{{user}}"),),
        ),
        Panel(
            title="Power by node", unit="watt", description="The ten nodes with the highest power.",
            queries=(
                Query(f"topk(10, sum by (instance, cluster, node) ({POWER}))", NODE_NAME),
            ),
        ),
        Panel(
            title="Hottest GPU by node", unit="celsius", thresholds=((85, "red"),),
            description="The ten hottest nodes.",
            queries=(
                Query(
                    "topk(10, max by (instance, cluster, node)"
                    f" (hpc_job_gpu_device_temperature_celsius{GPU}))",
                    NODE_NAME,
                ),
            ),
        ),
        Panel(
            title="Jobs with the lowest GPU utilization", kind="table", unit="percent", width=24,
            ascending=True,
            queries=(
                Query(
                    f"bottomk(20, avg by (instance, job_id, user, name) ({BUSY} {OWNER}))",
                    "GPU utilization",
                ),
            ),
            links=(("Job", JOB_LINK),),
        ),
    ),
)  # fmt: skip
