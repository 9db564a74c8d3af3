-- jobs: list the columns of a job that the service writes, next to its id
user_name, nodes, node_count, state, start_time, end_time, runtime_seconds, cpu_usage,
memory_usage_mb, gpu_usage, external_job_id, scheduler_type, raw_state, partition, account, qos,
priority, submit_time, exit_code, signal, state_reason, time_limit_minutes, extra, requested_cpus,
allocated_cpus, requested_memory_mb, allocated_memory_mb, requested_gpus, allocated_gpus,
gpu_vendor, gpu_devices, cpus_per_node, cgroup_path, cluster_name, scheduler_instance,
ingest_version, name, array_job_id, array_task_id, restart_count, last_sample_at, sample_count,
avg_cpu_usage, max_cpu_usage, max_memory_usage_mb, avg_gpu_usage, max_gpu_usage, start_estimated,
statistics_since, ended_by, scheduler_seen_at, run_by, suspended_seconds, suspended_since,
public_id, submission_at

-- samples: list the columns of a sample, in the order of the fields of QueuedSample
job_id, "timestamp", cpu_usage, memory_usage_mb, gpu_usage, memory_peak_mb, oom_kills,
cpu_seconds_total, cpu_throttled_seconds_total, io_read_bytes_total, io_write_bytes_total, node

-- gpu_samples: list the columns of a GPU's reading, in the order of the fields of GpuSample
job_id, "timestamp", node, gpu_id, gpu_vendor, utilization_percent, memory_used_mb,
memory_total_mb, power_watts, temperature_celsius, shared

-- metric_rollups: list the columns of a roll-up between its interval and its counts
cpu_usage_sum, cpu_usage_max, memory_usage_mb_sum, memory_usage_mb_max, gpu_usage_sum,
gpu_usage_max, sample_count, gpu_sample_count

-- summed_metrics: sum up those columns of several roll-ups
sum(cpu_usage_sum), max(cpu_usage_max), sum(memory_usage_mb_sum)::bigint,
max(memory_usage_mb_max), sum(gpu_usage_sum), max(gpu_usage_max), sum(sample_count),
sum(gpu_sample_count)

-- gpu_rollups: list the columns of a GPU's roll-up between its interval and its counts
utilization_percent_sum, utilization_percent_max, memory_used_mb_sum, memory_used_mb_max,
memory_total_mb_max, power_watts_sum, temperature_celsius_sum, sample_count, utilization_count,
memory_used_count, power_count, temperature_count, shared

-- summed_gpus: sum up those columns of several roll-ups
sum(utilization_percent_sum), max(utilization_percent_max), sum(memory_used_mb_sum)::bigint,
max(memory_used_mb_max), max(memory_total_mb_max), sum(power_watts_sum),
sum(temperature_celsius_sum), sum(sample_count), sum(utilization_count), sum(memory_used_count),
sum(power_count), sum(temperature_count), bool_or(shared)

-- of_walk: return where a walk through a list goes on, and whether a start has moved since it or its round began
pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS read_at,
%(began)s::bigint IS NOT NULL AND EXISTS (
    SELECT FROM matching
    WHERE start_moved_xid >= %(began)s
      AND start_moved_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
) AS moved
