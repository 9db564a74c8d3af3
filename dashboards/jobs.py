"""All running jobs: their number, their owners, and how well they use their allocation."""

from __future__ import annotations

from dashboards.model import JOB_LINK, SITE, Dashboard, Panel, Query, Variable
from hpcobs.exposition.families import DEVICE

INFO = f'hpc_job_info{{{SITE},cluster=~"$cluster",partition=~"$partition",user=~"$user"}}'


def _of(metric: str) -> str:
    """Return the metric of the chosen jobs. The caller sums or averages it per job."""
    # The metrics themselves have no partition, account or cluster, by which jobs are chosen.
    its = "on (instance, job_id) group_left (account, partition, name)"
    return f"{metric}{{{SITE}}} * {its} {INFO}"


def _gpus(*labels: str) -> str:
    """Return the utilization of each GPU of the chosen jobs, once if several jobs share it."""
    kept = ", ".join((DEVICE, *labels))
    return f"max by ({kept}) ({_of('hpc_job_gpu_device_utilization_percent')})"


DASHBOARD = Dashboard(
    uid="hpcobs-jobs",
    title="hpcobs / Jobs",
    description="Running jobs, and how well they use their allocation.",
    variables=(
        Variable(name="cluster", metric="hpc_job_info", label="cluster"),
        Variable(name="partition", metric="hpc_job_info", label="partition"),
        Variable(name="user", metric="hpc_job_info", label="user"),
    ),
    panels=(
        Panel(
            title="Running", kind="stat", width=4, height=4,
            queries=(Query(f"count({INFO}) or vector(0)"),),
        ),
        Panel(
            title="Pending", kind="stat", width=4, height=4,
            description="Pending jobs of all clusters.",
            queries=(Query(f'sum(hpc_job_state_total{{{SITE},state="pending"}})'),),
        ),
        Panel(
            title="Allocated CPUs", kind="stat", width=4, height=4,
            queries=(Query(f"sum({_of('hpc_job_cpus')})"),),
        ),
        Panel(
            title="CPU utilization", kind="stat", width=4, height=4, unit="percent", maximum=100,
            description="Mean over running jobs and their nodes, relative to the allocated CPUs.",
            queries=(Query(f"avg({_of('hpc_job_cpu_usage_percent')})"),),
        ),
        Panel(
            title="GPU utilization", kind="stat", width=4, height=4, unit="percent", maximum=100,
            description="Mean over the GPUs of running jobs. A GPU that jobs share counts once.",
            queries=(Query(f"avg({_gpus()})"),),
        ),
        Panel(
            title="Stale", kind="stat", width=4, height=4, thresholds=((1, "orange"),),
            description="Running jobs without a recent report from nodes or scheduler.",
            queries=(Query(f"sum(hpc_jobs_stale{{{SITE}}})"),),
        ),
        Panel(
            title="Jobs by state",
            queries=(Query(f"sum by (state) (hpc_job_state_total{{{SITE}}})", "{{state}}"),),
        ),
        Panel(
            title="CPU utilization by partition", unit="percent", maximum=100,
            queries=(
                Query(f"avg by (partition) ({_of('hpc_job_cpu_usage_percent')})", "{{partition}}"),
            ),
        ),
        Panel(
            title="Memory of jobs by user", unit="bytes",
            description="The ten users with the highest memory use.",
            queries=(
                Query(
                    f"topk(10, sum by (user) ({_of('hpc_job_memory_usage_bytes')}))", "{{user}}"
                ),
            ),
        ),
        Panel(
            title="GPU utilization by partition", unit="percent", maximum=100,
            queries=(
                Query(f"avg by (partition) ({_gpus('partition')})", "{{partition}}"),
            ),
        ),
        Panel(
            title="Lowest CPU utilization", kind="table", unit="percent", height=9,
            description="The 20 running jobs with the lowest utilization.", ascending=True,
            queries=(
                Query(
                    f"bottomk(20, avg by (instance, job_id, user, name)"
                    f" ({_of('hpc_job_cpu_usage_percent')}))",
                    "CPU utilization",
                ),
            ),
            links=(("Job", JOB_LINK),),
        ),
        Panel(
            title="Closest to their memory limit", kind="table", unit="percentunit", height=9,
            description="On the node with the highest use, relative to its share of the limit.",
            thresholds=((0.9, "orange"), (0.97, "red")),
            queries=(
                Query(
                    "topk(20, sum by (instance, job_id, user, name)"
                    f" ({_of('hpcobs:job_memory:ratio')}))",
                    "Memory used of limit",
                ),
            ),
            links=(("Job", JOB_LINK),),
        ),
    ),
)  # fmt: skip
