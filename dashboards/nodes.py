"""The nodes: what runs on them, what they have, and whether they are heard."""

from __future__ import annotations

from dashboards.model import SITE, Dashboard, Panel, Query, Variable

NODE = f'{{{SITE},node=~"$node"}}'
LOAD = f"hpc_node_cpu_load{NODE} / hpc_node_total_cpus{NODE}"
MEMORY = f"hpc_node_memory_usage_bytes{NODE} / hpc_node_total_memory_bytes{NODE}"
SILENCE = f"time() - hpc_node_last_seen_timestamp_seconds{NODE}"


def _shares(metric: str) -> tuple[Query, ...]:
    """How a metric is spread over the nodes, of which there may be thousands."""
    return (
        Query(f"quantile(0.1, {metric}{NODE})", "10 % of the nodes are below"),
        Query(f"quantile(0.5, {metric}{NODE})", "half are below"),
        Query(f"quantile(0.9, {metric}{NODE})", "90 % are below"),
    )


def _of_node(expression: str) -> str:
    return f"max by (instance, node) ({expression})"


DASHBOARD = Dashboard(
    uid="hpcobs-nodes",
    title="hpcobs / Nodes",
    description="What runs on the nodes, what they have, and whether they are heard.",
    variables=(Variable(name="node", metric="hpc_node_job_count", label="node"),),
    panels=(
        Panel(
            title="Nodes", kind="stat", width=6, height=4,
            queries=(Query(f"count(hpc_node_job_count{NODE})"),),
        ),
        Panel(
            title="Without a job", kind="stat", width=6, height=4,
            queries=(Query(f"count(hpc_node_job_count{NODE} == 0) or vector(0)"),),
        ),
        Panel(
            title="Silent for 5 minutes", kind="stat", width=6, height=4, thresholds=((1, "red"),),
            queries=(Query(f"count({SILENCE} > 300) or vector(0)"),),
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
            title="CPU use of the jobs on a node", unit="percent", maximum=100,
            queries=_shares("hpc_node_cpu_usage_percent"),
        ),
        Panel(
            title="GPU use of the jobs on a node", unit="percent", maximum=100,
            queries=_shares("hpc_node_gpu_usage_percent"),
        ),
        Panel(
            title="Highest load for each CPU", thresholds=((1.5, "orange"),),
            description="Over one minute, of the ten highest; above 1 something waits.",
            queries=(Query(f"topk(10, {LOAD})", "{{node}}"),),
        ),
        Panel(
            title="Most memory used by jobs", unit="percentunit", maximum=1,
            description="Of the node's, of the ten fullest.",
            queries=(Query(f"topk(10, {MEMORY})", "{{node}}"),),
        ),
        Panel(
            title="Not heard for", unit="s", width=24, thresholds=((300, "red"),),
            description="The ten that were heard the longest ago.",
            queries=(Query(f"topk(10, {SILENCE})", "{{node}}"),),
        ),
        Panel(
            title="Each node", kind="table", width=24, height=12,
            queries=(
                Query(_of_node(f"hpc_node_job_count{NODE}"), "Jobs"),
                Query(_of_node(f"hpc_node_cpu_usage_percent{NODE}"), "CPU use", "percent"),
                Query(_of_node(f"hpc_node_gpu_usage_percent{NODE}"), "GPU use", "percent"),
                Query(_of_node(MEMORY), "Memory", "percentunit"),
                Query(_of_node(LOAD), "Load for each CPU"),
                Query(_of_node(SILENCE), "Heard ago", "s"),
            ),
        ),
    ),
)  # fmt: skip
