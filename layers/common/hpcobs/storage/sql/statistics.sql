-- rebuild_nodes: compute the statistics of a job's nodes again from what is stored of its current run
-- Whole hours are read from roll-ups where these equal their samples, or are all that is left. A
-- sealed roll-up of five minutes counts for the run if it ends after the run's beginning (ADR 0009).
WITH run AS (
    SELECT id, start_time, since, sealed_before,
           -- The beginning of the first whole hour of the run.
           date_bin('1 hour', since - interval '1 microsecond', 'epoch') + interval '1 hour' AS whole
    FROM (SELECT id, start_time, coalesce(statistics_since, '-infinity') AS since
          FROM jobs WHERE id = %(id)s) AS job
    JOIN rollup_states ON samples = 'metric_samples'
    WHERE %(anew)s OR (
        -- A boundary that moves within one sealed roll-up changes nothing that can be known.
        (%(discarded)s OR greatest(since, %(counted_since)s) >= sealed_before
         OR date_bin('5 minutes', since, 'epoch')
            <> date_bin('5 minutes', %(counted_since)s::timestamptz, 'epoch'))
        -- Once months of roll-ups are dropped, what was counted cannot be counted again.
        AND (%(readable_since)s >= sealed_before OR EXISTS (
            SELECT FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace
              AND relname = 'metric_rollups_' || to_char(
                  date_trunc('month', %(readable_since)s::timestamptz AT TIME ZONE 'UTC'), 'YYYYMMDD')
        ))
    )
), sources AS MATERIALIZED (
    SELECT rolled,
           raw + CASE WHEN since < sealed_before THEN '{}'::tstzmultirange
                      ELSE tstzmultirange(tstzrange(since, whole)) END AS raw
    FROM run
    CROSS JOIN LATERAL series_sources('metric_samples', whole, 'infinity', 3600, 3600)
), parts AS (
    SELECT node, count(*) AS samples, sum(cpu_usage) AS cpu_sum, max(cpu_usage) AS cpu_max,
           max(memory_usage_mb) AS memory_max, count(gpu_usage) AS gpu_samples,
           sum(gpu_usage) AS gpu_sum, max(gpu_usage) AS gpu_max
    FROM sources
    CROSS JOIN unnest(raw) AS part
    -- OFFSET 0 makes PostgreSQL read just these times, as in samples.sql.
    CROSS JOIN LATERAL (
        SELECT node, cpu_usage, memory_usage_mb, gpu_usage FROM metric_samples
        WHERE job_id = %(id)s AND "timestamp" >= lower(part) AND "timestamp" < upper(part)
        OFFSET 0
    ) AS sampled
    GROUP BY node
    UNION ALL
    SELECT node, sample_count, cpu_usage_sum, cpu_usage_max, memory_usage_mb_max,
           gpu_sample_count, gpu_usage_sum, gpu_usage_max
    FROM sources
    CROSS JOIN unnest(rolled) AS part
    CROSS JOIN LATERAL (
        SELECT * FROM metric_rollups
        WHERE job_id = %(id)s AND seconds = 3600
          AND "timestamp" >= lower(part) AND "timestamp" < upper(part)
        OFFSET 0
    ) AS rollup
    UNION ALL
    SELECT node, sample_count, cpu_usage_sum, cpu_usage_max, memory_usage_mb_max,
           gpu_sample_count, gpu_usage_sum, gpu_usage_max
    FROM run
    JOIN metric_rollups
      ON job_id = %(id)s AND seconds = 300 AND "timestamp" < whole AND since < sealed_before
         AND "timestamp" >= date_bin('5 minutes', since, 'epoch')
), summed AS (
    SELECT node, sum(samples)::bigint AS samples, sum(cpu_sum) AS cpu_sum, max(cpu_max) AS cpu_max,
           max(memory_max) AS memory_max, sum(gpu_samples)::bigint AS gpu_samples,
           coalesce(sum(gpu_sum), 0) AS gpu_sum, max(gpu_max) AS gpu_max
    FROM parts GROUP BY node
), latest AS (
    -- What is known of a node's last sample stays, because the sample itself may be gone.
    SELECT summed.node, found.*
    FROM run
    CROSS JOIN summed
    LEFT JOIN job_nodes AS known
      ON known.job_id = run.id AND known.node = summed.node AND last_sample_at >= since
    CROSS JOIN LATERAL (
        SELECT last_sample_at AS at, known.cpu_usage, known.memory_usage_mb, known.gpu_usage
        WHERE last_sample_at IS NOT NULL
        UNION ALL
        (SELECT "timestamp", cpu_usage, memory_usage_mb, gpu_usage
         FROM metric_samples
         WHERE last_sample_at IS NULL AND job_id = run.id AND node = summed.node
           AND "timestamp" >= greatest(since, sealed_before)
         ORDER BY "timestamp" DESC LIMIT 1)
        UNION ALL
        -- Without its sample, the means of the last five minutes are the latest values.
        (SELECT greatest("timestamp", since), cpu_usage_sum / sample_count,
                memory_usage_mb_sum / sample_count, mean_of(gpu_usage_sum, gpu_sample_count)
         FROM metric_rollups
         WHERE last_sample_at IS NULL AND job_id = run.id AND node = summed.node AND seconds = 300
           AND "timestamp" >= date_bin('5 minutes', since, 'epoch')
           AND "timestamp" < sealed_before
         ORDER BY "timestamp" DESC LIMIT 1)
        ORDER BY at DESC LIMIT 1
    ) AS found
), cleared AS (
    UPDATE job_nodes
    SET last_sample_at = NULL, cpu_usage = NULL, memory_usage_mb = NULL, gpu_usage = NULL,
        sample_count = 0, cpu_usage_sum = 0, cpu_usage_max = NULL, memory_usage_mb_max = NULL,
        gpu_sample_count = 0, gpu_usage_sum = 0, gpu_usage_max = NULL
    FROM run
    WHERE job_id = run.id AND node NOT IN (SELECT node FROM summed)
)
INSERT INTO job_nodes (
    job_id, node, start_time, last_sample_at, cpu_usage, memory_usage_mb, gpu_usage, sample_count,
    cpu_usage_sum, cpu_usage_max, memory_usage_mb_max, gpu_sample_count, gpu_usage_sum,
    gpu_usage_max
)
SELECT run.id, node, run.start_time, latest.at, latest.cpu_usage, latest.memory_usage_mb,
       latest.gpu_usage, samples, cpu_sum, cpu_max, memory_max, gpu_samples, gpu_sum, gpu_max
FROM run CROSS JOIN summed JOIN latest USING (node)
ON CONFLICT (job_id, node) DO UPDATE
SET last_sample_at = excluded.last_sample_at, cpu_usage = excluded.cpu_usage,
    memory_usage_mb = excluded.memory_usage_mb, gpu_usage = excluded.gpu_usage,
    sample_count = excluded.sample_count, cpu_usage_sum = excluded.cpu_usage_sum,
    cpu_usage_max = excluded.cpu_usage_max, memory_usage_mb_max = excluded.memory_usage_mb_max,
    gpu_sample_count = excluded.gpu_sample_count, gpu_usage_sum = excluded.gpu_usage_sum,
    gpu_usage_max = excluded.gpu_usage_max

-- restore_gpus: store the latest reading of those GPUs of a job's current run that have none
WITH run AS (
    SELECT id, since, sealed_before,
           date_bin('1 hour', since - interval '1 microsecond', 'epoch') + interval '1 hour' AS whole
    FROM (SELECT id, coalesce(statistics_since, '-infinity') AS since
          FROM jobs WHERE id = %(id)s) AS job
    JOIN rollup_states ON samples = 'gpu_samples'
), sources AS MATERIALIZED (
    SELECT rolled,
           raw + CASE WHEN since < sealed_before THEN '{}'::tstzmultirange
                      ELSE tstzmultirange(tstzrange(since, whole)) END AS raw
    FROM run
    CROSS JOIN LATERAL series_sources('gpu_samples', whole, 'infinity', 3600, 3600)
), devices AS (
    SELECT node, gpu_id
    FROM sources
    CROSS JOIN unnest(raw) AS part
    CROSS JOIN LATERAL (
        SELECT node, gpu_id FROM gpu_samples
        WHERE job_id = %(id)s AND "timestamp" >= lower(part) AND "timestamp" < upper(part)
        OFFSET 0
    ) AS sampled
    GROUP BY node, gpu_id
    UNION ALL
    SELECT node, gpu_id
    FROM sources
    CROSS JOIN unnest(rolled) AS part
    CROSS JOIN LATERAL (
        SELECT node, gpu_id FROM gpu_rollups
        WHERE job_id = %(id)s AND seconds = 3600
          AND "timestamp" >= lower(part) AND "timestamp" < upper(part)
        OFFSET 0
    ) AS rollup
    GROUP BY node, gpu_id
    UNION ALL
    SELECT node, gpu_id
    FROM run
    JOIN gpu_rollups
      ON job_id = %(id)s AND seconds = 300 AND "timestamp" < whole AND since < sealed_before
         AND "timestamp" >= date_bin('5 minutes', since, 'epoch')
    GROUP BY node, gpu_id
), used AS (
    SELECT node, gpu_id FROM devices
    WHERE NOT EXISTS (SELECT FROM job_gpus AS known
                      WHERE known.job_id = %(id)s AND known.node = devices.node
                        AND known.gpu_id = devices.gpu_id)
    GROUP BY node, gpu_id
)
INSERT INTO job_gpus (
    job_id, node, gpu_id, gpu_vendor, sampled_at, utilization_percent, memory_used_mb,
    memory_total_mb, power_watts, temperature_celsius, shared
)
SELECT run.id, used.node, used.gpu_id, reading.*
FROM run
CROSS JOIN used
CROSS JOIN LATERAL (
    (SELECT gpu_vendor, "timestamp" AS at, utilization_percent, memory_used_mb, memory_total_mb,
            power_watts, temperature_celsius, shared
     FROM gpu_samples
     WHERE job_id = run.id AND node = used.node AND gpu_id = used.gpu_id
       AND "timestamp" >= greatest(since, sealed_before)
     ORDER BY "timestamp" DESC LIMIT 1)
    UNION ALL
    -- Without its samples, the means of a GPU's last five minutes are its latest reading.
    (SELECT gpu_vendor, greatest("timestamp", since),
            mean_of(utilization_percent_sum, utilization_count),
            memory_used_mb_sum / nullif(memory_used_count, 0), memory_total_mb_max,
            mean_of(power_watts_sum, power_count),
            mean_of(temperature_celsius_sum, temperature_count), shared
     FROM gpu_rollups
     WHERE job_id = run.id AND node = used.node AND gpu_id = used.gpu_id AND seconds = 300
       AND "timestamp" >= date_bin('5 minutes', since, 'epoch') AND "timestamp" < sealed_before
     ORDER BY "timestamp" DESC LIMIT 1)
    ORDER BY at DESC LIMIT 1
) AS reading
-- Readings of the job may be stored at this moment: these are later.
ON CONFLICT DO NOTHING

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
