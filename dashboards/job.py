"""One job, on each of its nodes."""

from __future__ import annotations

from dashboards.model import SITE, Dashboard, Panel, Query, Variable

JOB = f'{{{SITE},job_id="$job_id"}}'

DASHBOARD = Dashboard(
    uid="hpcobs-job",
    title="hpcobs / One job",
    description="CPU, memory and GPUs of one running job on each of its nodes.",
    variables=(Variable(name="job_id", metric="hpc_job_info", label="job_id", many=False),),
    one_site=True,
    panels=(
        Panel(
            title="The job", kind="table", width=12, height=5,
            queries=(Query(f"hpc_job_info{JOB}", "runs"),),
        ),
        Panel(
            title="Run time", kind="stat", width=4, height=5, unit="s",
            queries=(Query(f"max(hpc_job_runtime_seconds{JOB})"),),
        ),
        Panel(
            title="CPUs", kind="stat", width=4, height=5,
            queries=(Query(f"sum(hpc_job_cpus{JOB})"),),
        ),
        Panel(
            title="Memory used of limit", kind="stat", width=4, height=5, unit="percentunit",
            description="On the node with the highest use, which has an equal share of the limit.",
            thresholds=((0.9, "orange"), (0.97, "red")),
            queries=(Query(f"max(hpcobs:job_memory:ratio{JOB})"),),
        ),
        Panel(
            title="CPU utilization by node", unit="percent", maximum=100,
            description="Relative to the CPUs allocated on the node.",
            queries=(Query(f"hpc_job_cpu_usage_percent{JOB}", "{{node}}"),),
        ),
        Panel(
            title="Memory by node", unit="bytes",
            queries=(
                Query(f"hpc_job_memory_usage_bytes{JOB}", "{{node}}"),
                Query(f"max(hpc_job_memory_limit_bytes{JOB})", "limit, all nodes"),
            ),
        ),
        Panel(
            title="GPU utilization by node", unit="percent", maximum=100, width=24,
            description="The mean over the job's GPUs on the node.",
            queries=(Query(f"hpc_job_gpu_usage_percent{JOB}", "{{node}}"),),
        ),
        Panel(
            title="Utilization of each GPU", unit="percent", maximum=100,
            queries=(
                Query(f"hpc_job_gpu_device_utilization_percent{JOB}", "{{node}} {{gpu_id}}"),
            ),
        ),
        Panel(
            title="Memory of each GPU", unit="bytes",
            queries=(
                Query(f"hpc_job_gpu_device_memory_used_bytes{JOB}", "{{node}} {{gpu_id}}"),
            ),
        ),
        Panel(
            title="Power of each GPU", unit="watt",
            queries=(Query(f"hpc_job_gpu_device_power_watts{JOB}", "{{node}} {{gpu_id}}"),),
        ),
        Panel(
            title="Temperature of each GPU", unit="celsius",
            queries=(
                Query(f"hpc_job_gpu_device_temperature_celsius{JOB}", "{{node}} {{gpu_id}}"),
            ),
        ),
    ),
)  # fmt: skip
