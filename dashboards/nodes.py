"""The nodes: their jobs, their resources, and the age of their last report."""

from __future__ import annotations

from dashboards.model import NODE_NAME, SITE, Dashboard, Panel, Query, Variable

NODE = f'{{{SITE},node=~"$node"}}'
LOAD = f"hpc_node_cpu_load{NODE} / hpc_node_total_cpus{NODE}"
MEMORY = f"hpc_node_memory_usage_bytes{NODE} / hpc_node_total_memory_bytes{NODE}"
REPORT_AGE = f"time() - hpc_node_last_seen_timestamp_seconds{NODE}"


def _quantiles(metric: str) -> tuple[Query, ...]:
    """Return queries for the distribution over the nodes, of which there can be thousands."""
    return (
        Query(f"quantile(0.1, {metric}{NODE})", "10 % of the nodes are below"),
        Query(f"quantile(0.5, {metric}{NODE})", "half are below"),
        Query(f"quantile(0.9, {metric}{NODE})", "90 % are below"),
    )


def _of_node(expression: str) -> str:
    return f"max by (instance, cluster, node) ({expression})"


DASHBOARD = Dashboard(
    uid="hpcobs-nodes",
    title="hpcobs / Nodes",
    description="Jobs on the nodes, resources of the nodes, and the age of their last report.",
    variables=(Variable(name="node", metric="hpc_node_job_count", label="node"),),
    panels=(
        Panel(
            title="Nodes", kind="stat", width=6, height=4,
            queries=(Query(f"count(hpc_node_job_count{NODE})"),),
        ),
        Panel(
            title="Nodes without a job", kind="stat", width=6, height=4,
            queries=(Query(f"count(hpc_node_job_count{NODE} == 0) or vector(0)"),),
        ),
        Panel(
            title="No report for 5 min", kind="stat", width=6, height=4, thresholds=((1, "red"),),
            queries=(Query(f"count({REPORT_AGE} > 300) or vector(0)"),),
        ),
        Panel(
            title="CPUs", kind="stat", width=6, height=4,
            queries=(Query(f"sum(hpc_node_total_cpus{NODE})"),),
        ),
        Panel(
            title="Nodes by state",
            queries=(Query(f"count by (state) (hpc_node_state{NODE})", "{{state}}"),),
        ),
        Panel(
            title="Jobs on the nodes",
            description="A job on several nodes counts on each.",
            queries=(Query(f"sum(hpc_node_job_count{NODE})", "jobs"),),
        ),
        Panel(
            title="CPU utilization of the jobs on a node", unit="percent", maximum=100,
            queries=_quantiles("hpc_node_cpu_usage_percent"),
        ),
        Panel(
            title="GPU utilization of the jobs on a node", unit="percent", maximum=100,
            queries=_quantiles("hpc_node_gpu_usage_percent"),
        ),
        Panel(
            title="Highest load per CPU", thresholds=((1.5, "orange"),),
            description="The ten nodes with the highest one-minute load. Above 1, processes wait.",
            queries=(Query(f"topk(10, {LOAD})", NODE_NAME),),
        ),
        Panel(
            title="Highest memory use by jobs", unit="percentunit", maximum=1,
            description="The ten nodes with the highest use, relative to the node's memory.",
            queries=(Query(f"topk(10, {MEMORY})", NODE_NAME),),
        ),
        Panel(
            title="Oldest last reports", unit="s", width=24, thresholds=((300, "red"),),
            description="Age of the last report of ten nodes.",
            queries=(Query(f"topk(10, {REPORT_AGE})", NODE_NAME),),
        ),
        Panel(
            title="All nodes", kind="table", width=24, height=12,
            queries=(
                Query(_of_node(f"hpc_node_job_count{NODE}"), "Jobs"),
                Query(_of_node(f"hpc_node_cpu_usage_percent{NODE}"), "CPU utilization", "percent"),
                Query(_of_node(f"hpc_node_gpu_usage_percent{NODE}"), "GPU utilization", "percent"),
                Query(_of_node(MEMORY), "Memory", "percentunit"),
                Query(_of_node(LOAD), "Load per CPU"),
                Query(_of_node(REPORT_AGE), "Age of last report", "s"),
            ),
        ),
    ),
)  # fmt: skip
