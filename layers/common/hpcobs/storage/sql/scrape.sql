-- begin: show one moment to all that follows, wait for no migration, and compile nothing
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL jit = off

-- job_nodes: read each running job (of a shard) on each node where it has not ended, with its latest sample
-- The home cluster's nodes have no cluster in their labels. The same holds below.
SELECT coalesce(jobs.public_id, jobs.id), jobs.user_name, placed.node,
       nullif(jobs.cluster_name, %(home)s),
       greatest(date_part('epoch', now() - jobs.start_time), 0)::text,
       placed.cpu_usage::text,
       (placed.memory_usage_mb * 1048576)::text,
       placed.gpu_usage::text
FROM jobs
-- The sub-query's order makes PostgreSQL look up each job's nodes, instead of reading those of all
-- jobs that ever ran. The same holds below.
CROSS JOIN LATERAL (
    SELECT * FROM job_nodes WHERE job_id = jobs.id AND ended_at IS NULL ORDER BY node
) AS placed
WHERE jobs.state = 'running'
  AND (%(shards)s = 1 OR abs(hashtext(jobs.id)::bigint) %% %(shards)s = %(shard)s)
ORDER BY jobs.id, placed.node

-- jobs: read each running job (of a shard)
SELECT coalesce(public_id, id), user_name, coalesce(account, ''), coalesce(partition, ''), coalesce(cluster_name, ''),
       coalesce(name, ''),
       '1',
       (allocated_memory_mb * 1048576)::text,
       allocated_cpus::text
FROM jobs
WHERE state = 'running'
  AND (%(shards)s = 1 OR abs(hashtext(jobs.id)::bigint) %% %(shards)s = %(shard)s)
ORDER BY id

-- stale: count the running jobs without a recent report from nodes or scheduler
SELECT count(*)
FROM jobs
WHERE state = 'running'
  AND greatest(start_time, last_sample_at, scheduler_seen_at) < now() - %(stale_after)s

-- gpus: read each GPU of each running job (of a shard) with its latest reading
-- A GPU is left out if its node has reported the job, but not this GPU, for ten minutes.
SELECT coalesce(jobs.public_id, jobs.id), gpu.node, nullif(jobs.cluster_name, %(home)s),
       gpu.gpu_vendor, gpu.gpu_id,
       gpu.utilization_percent::text,
       (gpu.memory_used_mb * 1048576)::text,
       gpu.power_watts::text,
       gpu.temperature_celsius::text
FROM jobs
CROSS JOIN LATERAL (
    SELECT * FROM job_gpus
    WHERE job_id = jobs.id
      AND NOT EXISTS (
          SELECT FROM job_nodes
          WHERE job_nodes.job_id = jobs.id AND job_nodes.node = job_gpus.node
            AND (ended_at IS NOT NULL
                 OR last_sample_at > sampled_at + interval '10 minutes')
      )
    ORDER BY node, gpu_id
) AS gpu
WHERE jobs.state = 'running'
  AND (%(shards)s = 1 OR abs(hashtext(jobs.id)::bigint) %% %(shards)s = %(shard)s)
ORDER BY jobs.id, gpu.node, gpu.gpu_id

-- nodes: read each node (of a shard) with its jobs' usage and its own report
WITH placed AS MATERIALIZED (
    SELECT coalesce(jobs.cluster_name, %(home)s) AS cluster, placed.node, placed.job_id,
           placed.cpu_usage, placed.memory_usage_mb, placed.gpu_usage, placed.last_sample_at
    FROM jobs
    CROSS JOIN LATERAL (
        SELECT * FROM job_nodes WHERE job_id = jobs.id AND ended_at IS NULL ORDER BY node
    ) AS placed
    WHERE jobs.state = 'running'
), devices AS (
    -- Each GPU once, however many jobs share it, with its latest reading. A job whose GPUs were not
    -- read one by one counts as one GPU. The cluster is compared last, because most are equal.
    SELECT DISTINCT ON (node, device, without_device, cluster)
           cluster, node, coalesce(utilization_percent, gpu_usage) AS gpu_usage
    FROM placed
    LEFT JOIN LATERAL (
        SELECT gpu_id AS device, sampled_at, utilization_percent
        FROM job_gpus
        WHERE job_id = placed.job_id AND job_gpus.node = placed.node
          AND utilization_percent IS NOT NULL
          AND (placed.last_sample_at > sampled_at + interval '10 minutes') IS NOT TRUE
        ORDER BY gpu_id
    ) AS gpu ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN device IS NULL THEN placed.job_id END AS without_device
    ) AS whole
    WHERE gpu_usage IS NOT NULL
    ORDER BY node, device, without_device, cluster, sampled_at DESC
), busy AS (
    SELECT cluster, node, avg(gpu_usage) AS gpu_usage FROM devices GROUP BY cluster, node
), used AS (
    SELECT cluster, node, avg(cpu_usage) AS cpu_usage, sum(memory_usage_mb) AS memory_usage_mb,
           count(*) AS jobs
    FROM placed GROUP BY cluster, node
)
SELECT coalesce(used.node, nodes.name),
       nullif(coalesce(used.cluster, nodes.cluster_name), %(home)s),
       coalesce(nodes.state, ''),
       CASE WHEN nodes.state <> '' THEN '1' END,
       used.cpu_usage::text,
       (used.memory_usage_mb * 1048576)::text,
       busy.gpu_usage::text,
       coalesce(used.jobs, 0)::text,
       (nodes.memory_total_mb * 1048576)::text,
       nodes.cpus::text,
       nodes.cpu_load::text,
       date_part('epoch', nodes.last_seen)::text
FROM used
LEFT JOIN busy ON busy.cluster = used.cluster AND busy.node = used.node
FULL JOIN nodes ON nodes.cluster_name = used.cluster AND nodes.name = used.node
WHERE %(shards)s = 1
   OR abs(hashtext(coalesce(used.node, nodes.name))::bigint) %% %(shards)s = %(shard)s
ORDER BY 1, 2 NULLS FIRST

-- counters: read the jobs ever created and by state, samples, errors of storage operations
SELECT name, value FROM counter_values ORDER BY name

-- gauges: read what the collector stored about its last run
SELECT name, value FROM gauges ORDER BY name

-- held: read the seconds of data past their limit that retention did not delete, and why
SELECT table_name, reason, days * 86400 FROM retention_held ORDER BY table_name, reason

-- operations: read the durations of storage operations, over all functions
SELECT operation, observations, seconds FROM operation_timing_sums ORDER BY operation
