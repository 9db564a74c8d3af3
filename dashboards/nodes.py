"""The nodes: what runs on them, what they have, and whether they are heard."""

from __future__ import annotations

from dashboards.model import Dashboard, Panel, Query, Variable

NODE = '{node=~"$node"}'

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
            queries=(
                Query(
                    f"count(time() - hpc_node_last_seen_timestamp_seconds{NODE} > 300)"
                    " or vector(0)"
                ),
            ),
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
            title="Jobs by node",
            queries=(Query(f"hpc_node_job_count{NODE}", "{{node}}"),),
        ),
        Panel(
            title="CPU use of the jobs by node", unit="percent", maximum=100,
            queries=(Query(f"hpc_node_cpu_usage_percent{NODE}", "{{node}}"),),
        ),
        Panel(
            title="Load for each CPU", description="Over one minute; above 1 something waits.",
            thresholds=((1.5, "orange"),),
            queries=(
                Query(f"hpc_node_cpu_load{NODE} / hpc_node_total_cpus{NODE}", "{{node}}"),
            ),
        ),
        Panel(
            title="Memory of jobs, of the node's", unit="percentunit", maximum=1,
            queries=(
                Query(
                    f"hpc_node_memory_usage_bytes{NODE} / hpc_node_total_memory_bytes{NODE}",
                    "{{node}}",
                ),
            ),
        ),
        Panel(
            title="GPU use of the jobs by node", unit="percent", maximum=100,
            queries=(Query(f"hpc_node_gpu_usage_percent{NODE}", "{{node}}"),),
        ),
        Panel(
            title="Not heard for", unit="s", width=24, thresholds=((300, "red"),),
            queries=(
                Query(
                    f"topk(10, time() - hpc_node_last_seen_timestamp_seconds{NODE})", "{{node}}"
                ),
            ),
        ),
    ),
)  # fmt: skip
