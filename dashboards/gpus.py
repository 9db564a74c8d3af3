"""The GPUs that are allocated to jobs, and those of them that are idle."""

from __future__ import annotations

from dashboards.model import JOB_LINK, SITE, Dashboard, Panel, Query, Variable

GPU = f'{{{SITE},node=~"$node",gpu_vendor=~"$gpu_vendor"}}'
BUSY = f"hpc_job_gpu_device_utilization_percent{GPU}"
OWNER = f"* on (instance, job_id) group_left (user, name) hpc_job_info{{{SITE}}}"

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
            queries=(Query(f"count({BUSY})"),),
        ),
        Panel(
            title="Idle now", kind="stat", width=6, height=4, thresholds=((1, "orange"),),
            description="Allocated GPUs with a utilization below 5 %.",
            queries=(Query(f"count({BUSY} < 5) or vector(0)"),),
        ),
        Panel(
            title="Mean utilization", kind="stat", width=6, height=4, unit="percent", maximum=100,
            queries=(Query(f"avg({BUSY})"),),
        ),
        Panel(
            title="Power", kind="stat", width=6, height=4, unit="watt",
            queries=(Query(f"sum(hpc_job_gpu_device_power_watts{GPU})"),),
        ),
        Panel(
            title="Distribution of utilization", unit="percent", maximum=100,
            queries=(
                Query(f"quantile(0.1, {BUSY})", "10 % of the GPUs are below"),
                Query(f"quantile(0.5, {BUSY})", "half are below"),
                Query(f"quantile(0.9, {BUSY})", "90 % are below"),
            ),
        ),
        Panel(
            title="Idle GPUs by user",
            queries=(Query(f"count by (user) (({BUSY} < 5) {OWNER})", "{{user}}"),),
        ),
        Panel(
            title="Power by node", unit="watt", description="The ten nodes with the highest power.",
            queries=(
                Query(
                    f"topk(10, sum by (node) (hpc_job_gpu_device_power_watts{GPU}))", "{{node}}"
                ),
            ),
        ),
        Panel(
            title="Hottest GPU by node", unit="celsius", thresholds=((85, "red"),),
            description="The ten hottest nodes.",
            queries=(
                Query(
                    f"topk(10, max by (node) (hpc_job_gpu_device_temperature_celsius{GPU}))",
                    "{{node}}",
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
