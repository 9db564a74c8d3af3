-- series: read a job's raw samples oldest first, and count them (100,001 stands for more)
WITH matching AS NOT MATERIALIZED (
    SELECT "timestamp", node, cpu_usage, memory_usage_mb, gpu_usage
    FROM metric_samples
    WHERE job_id = %(job_id)s
      AND "timestamp" >= coalesce(%(start)s::timestamptz, '-infinity')
      AND "timestamp" < coalesce(%(end)s::timestamptz, 'infinity')
      AND (%(node)s::text IS NULL OR node = %(node)s)
), counted AS (
    SELECT count(*) AS total FROM (SELECT FROM matching LIMIT 100001) AS capped
), page AS (
    SELECT * FROM matching ORDER BY "timestamp", node LIMIT %(limit)s
)
SELECT counted.total, page.* FROM counted LEFT JOIN page ON true
ORDER BY page."timestamp", page.node

-- buckets: aggregate a job's samples by interval
-- The rules are those of PostgresSamples: weighted means of CPU and GPU, and sums of memory.
WITH sources AS MATERIALIZED (
    SELECT * FROM series_sources(
        'metric_samples', coalesce(%(start)s::timestamptz, '-infinity'),
        coalesce(%(end)s::timestamptz, 'infinity'), %(resolution)s, %(interval)s
    )
), parts AS (
    SELECT date_bin(make_interval(secs => %(resolution)s), "timestamp", 'epoch') AS bucket,
           node,
           count(*)::float8 AS samples, sum(cpu_usage) AS cpu_sum, max(cpu_usage) AS cpu_max,
           sum(memory_usage_mb::float8) AS memory_sum, max(memory_usage_mb)::float8 AS memory_max,
           count(gpu_usage)::float8 AS gpu_samples, sum(gpu_usage) AS gpu_sum,
           max(gpu_usage) AS gpu_max
    FROM sources
    CROSS JOIN unnest(raw) AS part
    -- OFFSET 0 keeps PostgreSQL from merging the sub-query into the join: it then reads just these
    -- times instead of the whole range. The same holds below.
    CROSS JOIN LATERAL (
        SELECT "timestamp", node, cpu_usage, memory_usage_mb, gpu_usage
        FROM metric_samples
        WHERE job_id = %(job_id)s
          AND "timestamp" >= coalesce(%(start)s::timestamptz, '-infinity')
          AND "timestamp" < coalesce(%(end)s::timestamptz, 'infinity')
          AND "timestamp" >= lower(part) AND "timestamp" < upper(part)
          AND (%(node)s::text IS NULL OR node = %(node)s)
        OFFSET 0
    ) AS sampled
    GROUP BY bucket, node
    UNION ALL
    SELECT date_bin(make_interval(secs => %(resolution)s), "timestamp", 'epoch'), node,
           sample_count, cpu_usage_sum, cpu_usage_max, memory_usage_mb_sum, memory_usage_mb_max,
           gpu_sample_count, gpu_usage_sum, gpu_usage_max
    FROM sources
    CROSS JOIN unnest(rolled) AS part
    CROSS JOIN LATERAL (
        SELECT *
        FROM metric_rollups
        WHERE job_id = %(job_id)s AND seconds = %(interval)s
          AND "timestamp" > coalesce(%(start)s::timestamptz, '-infinity') - interval '1 hour'
          AND "timestamp" < coalesce(%(end)s::timestamptz, 'infinity')
          AND "timestamp" >= lower(part) AND "timestamp" < upper(part)
          AND (%(node)s::text IS NULL OR node = %(node)s)
        OFFSET 0
    ) AS rollup
), by_node AS (
    SELECT bucket, node,
           sum(samples) AS samples, sum(cpu_sum) AS cpu_sum, max(cpu_max) AS cpu_max,
           sum(memory_sum) / sum(samples) AS memory, max(memory_max) AS memory_max,
           sum(gpu_samples) AS gpu_samples, sum(gpu_sum) AS gpu_sum, max(gpu_max) AS gpu_max
    FROM parts GROUP BY bucket, node
), weights AS (
    SELECT node, coalesce(allocated_cpus, 1)::float8 AS cpus, coalesce(devices, 1)::float8 AS gpus
    FROM job_nodes
    LEFT JOIN (
        SELECT node, count(*) AS devices FROM job_gpus WHERE job_id = %(job_id)s GROUP BY node
    ) AS seen USING (node)
    WHERE job_id = %(job_id)s
), matching AS (
    SELECT bucket,
           mean_of(sum(cpu_sum * coalesce(cpus, 1)), sum(samples * coalesce(cpus, 1))) AS cpu,
           sum(memory) AS memory,
           mean_of(sum(gpu_sum * coalesce(gpus, 1)), sum(gpu_samples * coalesce(gpus, 1))) AS gpu,
           max(cpu_max) AS cpu_max, sum(memory_max) AS memory_max, max(gpu_max) AS gpu_max,
           sum(samples)::bigint AS samples
    FROM by_node LEFT JOIN weights USING (node) GROUP BY bucket
), counted AS (
    SELECT count(*) AS total FROM matching
), page AS (
    SELECT * FROM matching ORDER BY bucket LIMIT %(limit)s
)
SELECT counted.total, page.bucket, %(node)s::text, page.cpu, page.memory, page.gpu, page.cpu_max,
       page.memory_max, page.gpu_max, page.samples
FROM counted LEFT JOIN page ON true
ORDER BY page.bucket

-- gpu_series: read the raw readings of a job's GPUs oldest first, and count them (100,001 stands for more)
WITH matching AS NOT MATERIALIZED (
    SELECT "timestamp", node, gpu_id, gpu_vendor, utilization_percent, memory_used_mb,
           memory_total_mb, power_watts, temperature_celsius, shared
    FROM gpu_samples
    WHERE job_id = %(job_id)s
      AND "timestamp" >= coalesce(%(start)s::timestamptz, '-infinity')
      AND "timestamp" < coalesce(%(end)s::timestamptz, 'infinity')
      AND (%(node)s::text IS NULL OR node = %(node)s)
), counted AS (
    SELECT count(*) AS total FROM (SELECT FROM matching LIMIT 100001) AS capped
), page AS (
    SELECT * FROM matching ORDER BY "timestamp", node, gpu_id LIMIT %(limit)s
)
SELECT counted.total, page.* FROM counted LEFT JOIN page ON true
ORDER BY page."timestamp", page.node, page.gpu_id

-- gpu_buckets: aggregate the readings of each of a job's GPUs by interval, as means and maxima
WITH sources AS MATERIALIZED (
    SELECT * FROM series_sources(
        'gpu_samples', coalesce(%(start)s::timestamptz, '-infinity'),
        coalesce(%(end)s::timestamptz, 'infinity'), %(resolution)s, %(interval)s
    )
), parts AS (
    SELECT date_bin(make_interval(secs => %(resolution)s), "timestamp", 'epoch') AS bucket,
           node, gpu_id, gpu_vendor,
           count(utilization_percent)::float8 AS utilizations,
           sum(utilization_percent) AS utilization_sum,
           max(utilization_percent) AS utilization_max,
           count(memory_used_mb)::float8 AS memories,
           sum(memory_used_mb::float8) AS memory_used_sum,
           max(memory_used_mb) AS memory_used_max, max(memory_total_mb) AS memory_total_max,
           count(power_watts)::float8 AS powers, sum(power_watts) AS power_sum,
           count(temperature_celsius)::float8 AS temperatures,
           sum(temperature_celsius) AS temperature_sum,
           count(*) AS samples, bool_or(shared) AS shared
    FROM sources
    CROSS JOIN unnest(raw) AS part
    CROSS JOIN LATERAL (
        SELECT *
        FROM gpu_samples
        WHERE job_id = %(job_id)s
          AND "timestamp" >= coalesce(%(start)s::timestamptz, '-infinity')
          AND "timestamp" < coalesce(%(end)s::timestamptz, 'infinity')
          AND "timestamp" >= lower(part) AND "timestamp" < upper(part)
          AND (%(node)s::text IS NULL OR node = %(node)s)
        OFFSET 0
    ) AS sampled
    GROUP BY bucket, node, gpu_id, gpu_vendor
    UNION ALL
    SELECT date_bin(make_interval(secs => %(resolution)s), "timestamp", 'epoch'), node, gpu_id,
           gpu_vendor, utilization_count, utilization_percent_sum, utilization_percent_max,
           memory_used_count, memory_used_mb_sum, memory_used_mb_max, memory_total_mb_max,
           power_count, power_watts_sum, temperature_count, temperature_celsius_sum, sample_count,
           shared
    FROM sources
    CROSS JOIN unnest(rolled) AS part
    CROSS JOIN LATERAL (
        SELECT *
        FROM gpu_rollups
        WHERE job_id = %(job_id)s AND seconds = %(interval)s
          AND "timestamp" > coalesce(%(start)s::timestamptz, '-infinity') - interval '1 hour'
          AND "timestamp" < coalesce(%(end)s::timestamptz, 'infinity')
          AND "timestamp" >= lower(part) AND "timestamp" < upper(part)
          AND (%(node)s::text IS NULL OR node = %(node)s)
        OFFSET 0
    ) AS rollup
), matching AS (
    SELECT bucket, node, gpu_id, gpu_vendor,
           mean_of(sum(utilization_sum), sum(utilizations)) AS utilization,
           sum(memory_used_sum) / nullif(sum(memories), 0) AS memory_used,
           max(memory_total_max)::float8 AS memory_total,
           mean_of(sum(power_sum), sum(powers)) AS power,
           mean_of(sum(temperature_sum), sum(temperatures)) AS temperature,
           bool_or(shared) AS shared,
           max(utilization_max) AS utilization_max, max(memory_used_max)::float8 AS memory_used_max,
           sum(samples)::bigint AS samples
    FROM parts GROUP BY bucket, node, gpu_id, gpu_vendor
), counted AS (
    SELECT count(*) AS total FROM matching
), page AS (
    SELECT * FROM matching ORDER BY bucket, node, gpu_id, gpu_vendor LIMIT %(limit)s
)
SELECT counted.total, page.* FROM counted LEFT JOIN page ON true
ORDER BY page.bucket, page.node, page.gpu_id, page.gpu_vendor
