-- rebuild_nodes: compute the statistics of a job's nodes again from its stored samples of the current run
WITH run AS (
    SELECT id, start_time, coalesce(statistics_since, '-infinity') AS since
    FROM jobs WHERE id = %(id)s
), sampled AS (
    SELECT node,
           count(*) AS samples,
           sum(cpu_usage) AS cpu_sum, max(cpu_usage) AS cpu_max,
           max(memory_usage_mb) AS memory_max,
           count(gpu_usage) AS gpu_samples, coalesce(sum(gpu_usage), 0) AS gpu_sum,
           max(gpu_usage) AS gpu_max,
           max("timestamp") AS latest
    FROM metric_samples JOIN run ON job_id = run.id AND "timestamp" >= run.since
    GROUP BY node
), cleared AS (
    UPDATE job_nodes
    SET last_sample_at = NULL, cpu_usage = NULL, memory_usage_mb = NULL, gpu_usage = NULL,
        sample_count = 0, cpu_usage_sum = 0, cpu_usage_max = NULL, memory_usage_mb_max = NULL,
        gpu_sample_count = 0, gpu_usage_sum = 0, gpu_usage_max = NULL
    FROM run
    WHERE job_id = run.id AND node NOT IN (SELECT node FROM sampled)
)
INSERT INTO job_nodes (
    job_id, node, start_time, last_sample_at, cpu_usage, memory_usage_mb, gpu_usage, sample_count,
    cpu_usage_sum, cpu_usage_max, memory_usage_mb_max, gpu_sample_count, gpu_usage_sum,
    gpu_usage_max
)
SELECT run.id, sampled.node, run.start_time, sampled.latest, last.cpu_usage, last.memory_usage_mb,
       last.gpu_usage, samples, cpu_sum, cpu_max, memory_max, gpu_samples, gpu_sum, gpu_max
FROM run
CROSS JOIN sampled
JOIN metric_samples AS last
  ON last.job_id = run.id AND last.node = sampled.node AND last."timestamp" = sampled.latest
ON CONFLICT (job_id, node) DO UPDATE
SET last_sample_at = excluded.last_sample_at, cpu_usage = excluded.cpu_usage,
    memory_usage_mb = excluded.memory_usage_mb, gpu_usage = excluded.gpu_usage,
    sample_count = excluded.sample_count, cpu_usage_sum = excluded.cpu_usage_sum,
    cpu_usage_max = excluded.cpu_usage_max, memory_usage_mb_max = excluded.memory_usage_mb_max,
    gpu_sample_count = excluded.gpu_sample_count, gpu_usage_sum = excluded.gpu_usage_sum,
    gpu_usage_max = excluded.gpu_usage_max

-- refresh_jobs: compute jobs' usage again from the statistics of their nodes, weighted by CPUs and GPUs
-- Equal weights cancel out. The plain mean is taken then, which has no rounding of the products.
UPDATE jobs
SET cpu_usage = summed.cpu_usage, memory_usage_mb = summed.memory_usage_mb,
    gpu_usage = summed.gpu_usage, last_sample_at = summed.last_sample_at,
    sample_count = summed.sample_count,
    avg_cpu_usage = summed.avg_cpu_usage, max_cpu_usage = summed.max_cpu_usage,
    max_memory_usage_mb = summed.max_memory_usage_mb,
    avg_gpu_usage = summed.avg_gpu_usage, max_gpu_usage = summed.max_gpu_usage,
    updated_at = now()
FROM (
    SELECT job_id,
           CASE WHEN min(cpus) = max(cpus) THEN avg(cpu_usage)
                ELSE mean_of(sum(cpu_usage * cpus), sum(cpus) FILTER (WHERE cpu_usage IS NOT NULL))
           END AS cpu_usage,
           sum(memory_usage_mb)::bigint AS memory_usage_mb,
           CASE WHEN min(gpus) = max(gpus) THEN avg(gpu_usage)
                ELSE mean_of(sum(gpu_usage * gpus), sum(gpus) FILTER (WHERE gpu_usage IS NOT NULL))
           END AS gpu_usage,
           max(last_sample_at) AS last_sample_at,
           sum(sample_count)::bigint AS sample_count,
           CASE WHEN min(cpus) = max(cpus) THEN mean_of(sum(cpu_usage_sum), sum(samples))
                ELSE mean_of(sum(cpu_usage_sum * cpus), sum(samples * cpus))
           END AS avg_cpu_usage,
           max(cpu_usage_max) AS max_cpu_usage,
           sum(memory_usage_mb_max)::bigint AS max_memory_usage_mb,
           CASE WHEN min(gpus) = max(gpus) THEN mean_of(sum(gpu_usage_sum), sum(gpu_samples))
                ELSE mean_of(sum(gpu_usage_sum * gpus), sum(gpu_samples * gpus))
           END AS avg_gpu_usage,
           max(gpu_usage_max) AS max_gpu_usage
    FROM (
        SELECT job_nodes.*, sample_count::float8 AS samples, gpu_sample_count::float8 AS gpu_samples,
               coalesce(allocated_cpus, 1)::float8 AS cpus, coalesce(devices, 1)::float8 AS gpus
        FROM job_nodes
        LEFT JOIN (
            SELECT job_id, node, count(*) AS devices
            FROM job_gpus WHERE job_id = ANY (%(ids)s::text[])
            GROUP BY job_id, node
        ) AS seen USING (job_id, node)
        WHERE job_id = ANY (%(ids)s::text[])
    ) AS weighted
    GROUP BY job_id
) AS summed
WHERE jobs.id = summed.job_id
