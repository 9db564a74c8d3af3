"""The table of metric families: the only source of names, types, help, order and documentation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """One family of series. There is one series for each ``per``. ``query`` is an example.

    A series has the label ``cluster`` only if that is not empty.
    """

    name: str
    type: str
    help: str
    labels: tuple[str, ...]
    group: str
    unit: str
    per: str
    query: str


# Two clusters may have nodes of the same name. So the cluster follows the node, except for nodes of
# the home cluster, whose series have the same labels at every site.
JOB_NODE = ("job_id", "user", "node", "cluster")
JOB = ("job_id", "user")
GPU = ("job_id", "node", "cluster", "gpu_vendor", "gpu_id")
NODE = ("node", "cluster")
DEVICE = "instance, cluster, node, gpu_id"
"""The labels that identify a GPU. Each of the jobs that share one has its own series of it."""

_RUNNING = "running job and node"
_RUNNING_JOB = "running job"
_DEVICE = "GPU of a running job"


def _gauge(  # noqa: PLR0917 - a row of the table
    name: str, text: str, labels: tuple[str, ...], group: str, unit: str, per: str, query: str
) -> Family:
    return Family(name, "gauge", text, labels, group, unit, per, query)


FAMILIES: tuple[Family, ...] = (
    _gauge(
        "hpc_job_runtime_seconds", "Time since the job started.",
        JOB_NODE, "jobs", "seconds", _RUNNING, "topk(10, hpc_job_runtime_seconds)",
    ),
    _gauge(
        "hpc_job_cpu_usage_percent", "CPU use in percent of the CPUs allocated on the node.",
        JOB_NODE, "jobs", "percent", _RUNNING, "avg by (user) (hpc_job_cpu_usage_percent)",
    ),
    _gauge(
        "hpc_job_memory_usage_bytes", "Memory in use on the node, without page cache.",
        JOB_NODE, "jobs", "bytes", _RUNNING, "sum by (job_id) (hpc_job_memory_usage_bytes)",
    ),
    _gauge(
        "hpc_job_gpu_usage_percent", "GPU use in percent of the GPUs allocated on the node.",
        JOB_NODE, "jobs", "percent", _RUNNING, "hpc_job_gpu_usage_percent < 5",
    ),
    _gauge(
        "hpc_job_info", "Names of the job, as labels. Always 1.",
        ("job_id", "user", "account", "partition", "cluster", "name"), "jobs", "", _RUNNING_JOB,
        "hpc_job_cpus * on (instance, job_id) group_left (account) hpc_job_info",
    ),
    _gauge(
        "hpc_job_memory_limit_bytes", "Memory allocated to the job, over all its nodes.",
        JOB, "jobs", "bytes", _RUNNING_JOB,
        "sum by (instance, job_id) (hpc_job_memory_usage_bytes)"
        " / sum by (instance, job_id) (hpc_job_memory_limit_bytes)",
    ),
    _gauge(
        "hpc_job_cpus", "CPUs allocated to the job, over all its nodes.",
        JOB, "jobs", "CPUs", _RUNNING_JOB, "sum(hpc_job_cpus)",
    ),
    _gauge(
        "hpc_job_state_total", "Jobs in each state.",
        ("state",), "jobs", "jobs", "state", 'hpc_job_state_total{state="running"}',
    ),
    _gauge(
        "hpc_jobs_stale", "Running jobs without a recent report from nodes or scheduler.",
        (), "jobs", "jobs", "site", "hpc_jobs_stale > 0",
    ),
    Family(
        "hpc_job_total", "counter", "Jobs ever created.",
        (), "jobs", "jobs", "site", "rate(hpc_job_total[1h])",
    ),
    _gauge(
        "hpc_job_gpu_device_utilization_percent", "Share of time in which the GPU was busy.",
        GPU, "gpus", "percent", _DEVICE,
        "avg by (job_id) (hpc_job_gpu_device_utilization_percent)",
    ),
    _gauge(
        "hpc_job_gpu_device_memory_used_bytes", "GPU memory in use, by all jobs that share it.",
        GPU, "gpus", "bytes", _DEVICE, "max by (job_id) (hpc_job_gpu_device_memory_used_bytes)",
    ),
    _gauge(
        "hpc_job_gpu_device_power_watts", "Power draw of the GPU, by all jobs that share it.",
        GPU, "gpus", "watts", _DEVICE, f"sum(max by ({DEVICE}) (hpc_job_gpu_device_power_watts))",
    ),
    _gauge(
        "hpc_job_gpu_device_temperature_celsius", "Temperature of the GPU.",
        GPU, "gpus", "celsius", _DEVICE,
        "max by (cluster, node) (hpc_job_gpu_device_temperature_celsius)",
    ),
    _gauge(
        "hpc_node_cpu_usage_percent", "Mean CPU use of the jobs running on the node.",
        NODE, "nodes", "percent", "node with running jobs", "avg(hpc_node_cpu_usage_percent)",
    ),
    _gauge(
        "hpc_node_memory_usage_bytes", "Memory in use by the jobs running on the node.",
        NODE, "nodes", "bytes", "node with running jobs",
        "hpc_node_memory_usage_bytes / hpc_node_total_memory_bytes",
    ),
    _gauge(
        "hpc_node_gpu_usage_percent", "Mean use of the GPUs of the node's jobs, each counted once.",
        NODE, "nodes", "percent", "node with running GPU jobs", "avg(hpc_node_gpu_usage_percent)",
    ),
    _gauge(
        "hpc_node_job_count", "Jobs running on the node.",
        NODE, "nodes", "jobs", "node", "hpc_node_job_count == 0",
    ),
    _gauge(
        "hpc_node_total_memory_bytes", "Total memory of the node.",
        NODE, "nodes", "bytes", "node", "sum(hpc_node_total_memory_bytes)",
    ),
    _gauge(
        "hpc_node_total_cpus", "Number of CPUs of the node.",
        NODE, "nodes", "CPUs", "node", "sum(hpc_node_total_cpus)",
    ),
    _gauge(
        "hpc_node_cpu_load", "Load average of the node over one minute.",
        NODE, "nodes", "", "node", "hpc_node_cpu_load / hpc_node_total_cpus > 2",
    ),
    _gauge(
        "hpc_node_last_seen_timestamp_seconds", "Time of the last batch from the node's forwarder.",
        NODE, "nodes", "seconds", "node", "time() - hpc_node_last_seen_timestamp_seconds > 300",
    ),
    _gauge(
        "hpc_node_state", "State of the node, as the scheduler names it. 1 for the current state.",
        ("node", "cluster", "state"), "nodes", "", "node", "count by (state) (hpc_node_state)",
    ),
    Family(
        "storage_operation_duration_seconds", "histogram",
        "Duration of storage operations, over all functions.",
        ("operation",), "service", "seconds", "operation and bucket",
        "histogram_quantile(0.99,"
        " sum by (le, operation) (rate(storage_operation_duration_seconds_bucket[5m])))",
    ),
    Family(
        "storage_operation_errors_total", "counter",
        "Failed storage operations, over all functions.",
        ("operation", "error_type"), "service", "operations", "operation and kind of error",
        "sum by (error_type) (rate(storage_operation_errors_total[5m]))",
    ),
    _gauge(
        "hpc_exporter_last_collect_timestamp_seconds", "End of the collector's last run.",
        (), "service", "seconds", "site", "time() - hpc_exporter_last_collect_timestamp_seconds",
    ),
    _gauge(
        "hpc_collector_queue_depth", "Batches on the queue, including those in flight.",
        (), "service", "batches", "site", "deriv(hpc_collector_queue_depth[10m]) > 0",
    ),
    _gauge(
        "hpc_collector_dead_letters", "Batches that could not be read, or failed too often.",
        (), "service", "batches", "site", "hpc_collector_dead_letters > 0",
    ),
    _gauge(
        "hpc_collector_lag_seconds", "Age of the oldest batch in the collector's last run.",
        (), "service", "seconds", "site", "hpc_collector_lag_seconds > 120",
    ),
    Family(
        "hpc_collector_samples_total", "counter", "Samples stored.",
        (), "service", "samples", "site", "rate(hpc_collector_samples_total[5m])",
    ),
    Family(
        "hpc_collector_duplicates_total", "counter", "Samples that were already stored.",
        (), "service", "samples", "site", "rate(hpc_collector_duplicates_total[5m])",
    ),
    Family(
        "hpc_collector_rejected_total", "counter", "Rejected samples.",
        (), "service", "samples", "site", "rate(hpc_collector_rejected_total[5m])",
    ),
    _gauge(
        "hpc_retention_held_seconds", "Span of the data past their limit that retention keeps.",
        ("table", "reason"), "service", "seconds", "table and reason",
        'hpc_retention_held_seconds{reason="clock_ahead"}',
    ),
)  # fmt: skip
