-- series: a job's raw samples oldest first, and how many there are (100,001 stands for more)
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

-- buckets: a job's samples by interval: means over all samples, of memory the sum of the nodes' means; maxima likewise
WITH by_node AS (
    SELECT date_bin(make_interval(secs => %(resolution)s), "timestamp", 'epoch') AS bucket,
           node,
           count(*) AS samples,
           sum(cpu_usage) AS cpu_sum, max(cpu_usage) AS cpu_max,
           avg(memory_usage_mb)::float8 AS memory, max(memory_usage_mb)::float8 AS memory_max,
           count(gpu_usage) AS gpu_samples, sum(gpu_usage) AS gpu_sum, max(gpu_usage) AS gpu_max
    FROM metric_samples
    WHERE job_id = %(job_id)s
      AND "timestamp" >= coalesce(%(start)s::timestamptz, '-infinity')
      AND "timestamp" < coalesce(%(end)s::timestamptz, 'infinity')
      AND (%(node)s::text IS NULL OR node = %(node)s)
    GROUP BY bucket, node
), matching AS (
    SELECT bucket,
           mean_of(sum(cpu_sum), sum(samples)) AS cpu,
           sum(memory) AS memory,
           mean_of(sum(gpu_sum), sum(gpu_samples)) AS gpu,
           max(cpu_max) AS cpu_max, sum(memory_max) AS memory_max, max(gpu_max) AS gpu_max,
           sum(samples)::bigint AS samples
    FROM by_node GROUP BY bucket
), counted AS (
    SELECT count(*) AS total FROM matching
), page AS (
    SELECT * FROM matching ORDER BY bucket LIMIT %(limit)s
)
SELECT counted.total, page.bucket, %(node)s::text, page.cpu, page.memory, page.gpu, page.cpu_max,
       page.memory_max, page.gpu_max, page.samples
FROM counted LEFT JOIN page ON true
ORDER BY page.bucket

-- gpu_series: the raw readings of a job's GPUs oldest first, and how many there are (100,001 stands for more)
WITH matching AS NOT MATERIALIZED (
    SELECT "timestamp", node, gpu_id, gpu_vendor, utilization_percent, memory_used_mb,
           memory_total_mb, power_watts, temperature_celsius
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

-- gpu_buckets: the readings of each of a job's GPUs by interval: means and maxima
WITH matching AS (
    SELECT date_bin(make_interval(secs => %(resolution)s), "timestamp", 'epoch') AS bucket,
           node, gpu_id, gpu_vendor,
           avg(utilization_percent) AS utilization, avg(memory_used_mb)::float8 AS memory_used,
           max(memory_total_mb)::float8 AS memory_total, avg(power_watts) AS power,
           avg(temperature_celsius) AS temperature, max(utilization_percent) AS utilization_max,
           max(memory_used_mb)::float8 AS memory_used_max, count(*) AS samples
    FROM gpu_samples
    WHERE job_id = %(job_id)s
      AND "timestamp" >= coalesce(%(start)s::timestamptz, '-infinity')
      AND "timestamp" < coalesce(%(end)s::timestamptz, 'infinity')
      AND (%(node)s::text IS NULL OR node = %(node)s)
    GROUP BY bucket, node, gpu_id, gpu_vendor
), counted AS (
    SELECT count(*) AS total FROM matching
), page AS (
    SELECT * FROM matching ORDER BY bucket, node, gpu_id LIMIT %(limit)s
)
SELECT counted.total, page.* FROM counted LEFT JOIN page ON true
ORDER BY page.bucket, page.node, page.gpu_id
