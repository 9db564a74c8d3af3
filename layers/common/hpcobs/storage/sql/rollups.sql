-- due: store up to when hours are closed, and list the closed hours with noted samples, oldest first
-- No hour is closed by the caller's clock alone: the database's must agree. A time that a wrong clock stored
-- is corrected here.
WITH closed AS (
    UPDATE rollup_states
    SET rolled_before = least(greatest(rolled_before, %(before)s),
                              date_bin('1 hour', now() - %(closed_after)s, 'epoch'))
)
SELECT DISTINCT hour FROM unrolled_hours
WHERE hour < %(before)s AND hour < date_bin('1 hour', now() - %(closed_after)s, 'epoch')
ORDER BY hour

-- count_due: count the closed hours with noted samples
SELECT count(DISTINCT hour) FROM unrolled_hours
WHERE hour < %(before)s AND hour < date_bin('1 hour', now() - %(closed_after)s, 'epoch')

-- begin: lock out other roll-ups until the transaction ends, unless one is under way; allow time and memory
-- The lock is only tried: a second run goes on with its other work. An hour of a large site needs
-- more memory and time than other statements.
SELECT pg_try_advisory_xact_lock(hashtext('hpcobs roll-ups')),
       set_config('work_mem', '64MB', true), set_config('statement_timeout', '200s', true)

-- take: delete an hour's notes; return whether it has new samples, and which jobs were removed
WITH taken AS (
    DELETE FROM unrolled_hours WHERE hour = %(hour)s RETURNING removed_job_id
)
SELECT coalesce(bool_or(removed_job_id IS NULL), false),
       coalesce(array_agg(DISTINCT removed_job_id) FILTER (WHERE removed_job_id IS NOT NULL), '{}')
FROM taken

-- delete_removed: delete an hour's roll-ups of removed jobs
-- Not those of a sealed hour: its samples are gone, so that nothing could make them again. Whoever
-- removes samples of such an hour changes its roll-ups too (discarding.sql, deleting.sql). So no
-- other transaction than the deletion of a job writes a roll-up that this one may write.
WITH metrics AS (
    DELETE FROM metric_rollups
    WHERE job_id = ANY (%(job_ids)s::text[])
      AND "timestamp" >= %(hour)s AND "timestamp" < %(hour)s + interval '1 hour'
      AND NOT {{conditions.metrics_sealed}}
)
DELETE FROM gpu_rollups
WHERE job_id = ANY (%(job_ids)s::text[])
  AND "timestamp" >= %(hour)s AND "timestamp" < %(hour)s + interval '1 hour'
  AND NOT {{conditions.gpus_sealed}}

-- ensure_months: create the partitions that an hour's roll-ups need
SELECT ensure_month_partition(parent, (%(hour)s AT TIME ZONE 'UTC')::date)
FROM unnest(ARRAY['gpu_rollups', 'metric_rollups']) AS parent

-- roll_metrics: make an hour's roll-ups equal to its samples
-- Samples are only ever added to an hour, so equal counts mean equal roll-ups, which are not written
-- again. A sealed hour has lost its samples, and its roll-ups stay as they are.
WITH fine AS MATERIALIZED (
    SELECT date_bin('5 minutes', "timestamp", 'epoch') AS beginning, job_id, node,
           sum(cpu_usage) AS cpu_sum, max(cpu_usage) AS cpu_max,
           sum(memory_usage_mb)::bigint AS memory_sum, max(memory_usage_mb) AS memory_max,
           sum(gpu_usage) AS gpu_sum, max(gpu_usage) AS gpu_max,
           count(*) AS samples, count(gpu_usage) AS gpu_samples
    FROM metric_samples
    WHERE "timestamp" >= %(hour)s AND "timestamp" < %(hour)s + interval '1 hour'
      AND %(hour)s >= (SELECT sealed_before FROM rollup_states WHERE samples = 'metric_samples')
    GROUP BY beginning, job_id, node
), rolled AS (
    SELECT 300 AS seconds, * FROM fine
    UNION ALL
    SELECT 3600, %(hour)s, job_id, node, sum(cpu_sum), max(cpu_max), sum(memory_sum)::bigint,
           max(memory_max), sum(gpu_sum), max(gpu_max), sum(samples), sum(gpu_samples)
    FROM fine GROUP BY job_id, node
)
INSERT INTO metric_rollups AS known (
    seconds, "timestamp", job_id, node, cpu_usage_sum, cpu_usage_max, memory_usage_mb_sum,
    memory_usage_mb_max, gpu_usage_sum, gpu_usage_max, sample_count, gpu_sample_count
)
SELECT * FROM rolled ORDER BY job_id, seconds, beginning, node
ON CONFLICT (job_id, seconds, "timestamp", node) DO UPDATE
SET cpu_usage_sum = excluded.cpu_usage_sum, cpu_usage_max = excluded.cpu_usage_max,
    memory_usage_mb_sum = excluded.memory_usage_mb_sum,
    memory_usage_mb_max = excluded.memory_usage_mb_max,
    gpu_usage_sum = excluded.gpu_usage_sum, gpu_usage_max = excluded.gpu_usage_max,
    sample_count = excluded.sample_count, gpu_sample_count = excluded.gpu_sample_count
WHERE (known.sample_count, known.gpu_sample_count)
      <> (excluded.sample_count, excluded.gpu_sample_count)

-- roll_gpus: make an hour's roll-ups of GPUs equal to its samples, as roll_metrics does
WITH fine AS MATERIALIZED (
    SELECT date_bin('5 minutes', "timestamp", 'epoch') AS beginning, job_id, node, gpu_id,
           gpu_vendor,
           sum(utilization_percent) AS utilization_sum, max(utilization_percent) AS utilization_max,
           sum(memory_used_mb)::bigint AS memory_used_sum, max(memory_used_mb) AS memory_used_max,
           max(memory_total_mb) AS memory_total_max,
           sum(power_watts) AS power_sum, sum(temperature_celsius) AS temperature_sum,
           count(*) AS samples, count(utilization_percent) AS utilizations,
           count(memory_used_mb) AS memories, count(power_watts) AS powers,
           count(temperature_celsius) AS temperatures, bool_or(shared) AS shared
    FROM gpu_samples
    WHERE "timestamp" >= %(hour)s AND "timestamp" < %(hour)s + interval '1 hour'
      AND %(hour)s >= (SELECT sealed_before FROM rollup_states WHERE samples = 'gpu_samples')
    GROUP BY beginning, job_id, node, gpu_id, gpu_vendor
), rolled AS (
    SELECT 300 AS seconds, * FROM fine
    UNION ALL
    SELECT 3600, %(hour)s, job_id, node, gpu_id, gpu_vendor, sum(utilization_sum),
           max(utilization_max), sum(memory_used_sum)::bigint, max(memory_used_max),
           max(memory_total_max), sum(power_sum), sum(temperature_sum), sum(samples),
           sum(utilizations), sum(memories), sum(powers), sum(temperatures), bool_or(shared)
    FROM fine GROUP BY job_id, node, gpu_id, gpu_vendor
)
INSERT INTO gpu_rollups AS known (
    seconds, "timestamp", job_id, node, gpu_id, gpu_vendor, utilization_percent_sum,
    utilization_percent_max, memory_used_mb_sum, memory_used_mb_max, memory_total_mb_max,
    power_watts_sum, temperature_celsius_sum, sample_count, utilization_count, memory_used_count,
    power_count, temperature_count, shared
)
SELECT * FROM rolled ORDER BY job_id, seconds, beginning, node, gpu_id, gpu_vendor
ON CONFLICT (job_id, seconds, "timestamp", node, gpu_id, gpu_vendor) DO UPDATE
SET utilization_percent_sum = excluded.utilization_percent_sum,
    utilization_percent_max = excluded.utilization_percent_max,
    memory_used_mb_sum = excluded.memory_used_mb_sum,
    memory_used_mb_max = excluded.memory_used_mb_max,
    memory_total_mb_max = excluded.memory_total_mb_max,
    power_watts_sum = excluded.power_watts_sum,
    temperature_celsius_sum = excluded.temperature_celsius_sum,
    sample_count = excluded.sample_count, utilization_count = excluded.utilization_count,
    memory_used_count = excluded.memory_used_count, power_count = excluded.power_count,
    temperature_count = excluded.temperature_count, shared = excluded.shared
WHERE known.sample_count <> excluded.sample_count
