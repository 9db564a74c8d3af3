-- stage: make the session's staging tables; they are empty at the start of every transaction
CREATE TEMPORARY TABLE IF NOT EXISTS staged_samples (
    job_id                       text COLLATE "C" NOT NULL,
    "timestamp"                  timestamptz NOT NULL,
    cpu_usage                    double precision NOT NULL,
    memory_usage_mb              bigint NOT NULL,
    gpu_usage                    double precision,
    memory_peak_mb               bigint,
    oom_kills                    bigint,
    cpu_seconds_total            double precision,
    cpu_throttled_seconds_total  double precision,
    io_read_bytes_total          bigint,
    io_write_bytes_total         bigint,
    node                         text COLLATE "C" NOT NULL,
    batch_id                     text,
    position                     integer
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_gpus (
    job_id               text COLLATE "C" NOT NULL,
    "timestamp"          timestamptz NOT NULL,
    node                 text COLLATE "C" NOT NULL,
    gpu_id               text COLLATE "C" NOT NULL,
    gpu_vendor           text NOT NULL,
    utilization_percent  double precision,
    memory_used_mb       bigint,
    memory_total_mb      bigint,
    power_watts          double precision,
    temperature_celsius  double precision
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_sums (
    job_id               text COLLATE "C" NOT NULL,
    node                 text COLLATE "C" NOT NULL,
    start_time           timestamptz NOT NULL,
    last_sample_at       timestamptz NOT NULL,
    cpu_usage            double precision NOT NULL,
    memory_usage_mb      bigint NOT NULL,
    gpu_usage            double precision,
    sample_count         bigint NOT NULL,
    cpu_usage_sum        double precision NOT NULL,
    cpu_usage_max        double precision NOT NULL,
    memory_usage_mb_max  bigint NOT NULL,
    gpu_sample_count     bigint NOT NULL,
    gpu_usage_sum        double precision NOT NULL,
    gpu_usage_max        double precision
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS staged_jobs (
    id     text COLLATE "C" PRIMARY KEY,
    since  timestamptz NOT NULL
) ON COMMIT DELETE ROWS

-- clear: empty the staging tables within a transaction that stages more than once
TRUNCATE staged_samples, staged_gpus, staged_sums, staged_jobs

-- lock_jobs: hold jobs, always in the same order; when they started, and where their run's statistics begin
SELECT id, start_time, statistics_since
FROM jobs
WHERE id = ANY (%(ids)s::text[])
ORDER BY id
FOR NO KEY UPDATE

-- latest: the latest sample of each node of some jobs, within the current run
SELECT job_id, node, last_sample_at
FROM job_nodes
WHERE job_id = ANY (%(ids)s::text[]) AND last_sample_at IS NOT NULL

-- open_hours: note that the roll-ups of some hours lack samples (ADR 0009); make their days' partitions
WITH noted AS (
    INSERT INTO unrolled_hours (hour) SELECT unnest(%(hours)s::timestamptz[])
), days AS (
    SELECT DISTINCT (hour AT TIME ZONE 'UTC')::date AS day
    FROM unnest(%(hours)s::timestamptz[]) AS hour
)
SELECT ensure_day_partition(parent, day)
FROM days, unnest(ARRAY['metric_samples', 'gpu_samples']) AS parent
ORDER BY parent, day

-- store_samples: store samples that are known to be new
COPY metric_samples (
    job_id, "timestamp", cpu_usage, memory_usage_mb, gpu_usage, memory_peak_mb, oom_kills,
    cpu_seconds_total, cpu_throttled_seconds_total, io_read_bytes_total, io_write_bytes_total, node
) FROM STDIN (FORMAT binary)

-- store_gpus: store GPU readings that are known to be new
COPY gpu_samples (
    job_id, "timestamp", node, gpu_id, gpu_vendor, utilization_percent, memory_used_mb,
    memory_total_mb, power_watts, temperature_celsius
) FROM STDIN (FORMAT binary)

-- copy_samples: stage samples that may be known already
COPY staged_samples FROM STDIN (FORMAT binary)

-- copy_gpus: stage GPU readings
COPY staged_gpus FROM STDIN (FORMAT binary)

-- copy_sums: stage what is to be added to the statistics of jobs' nodes
COPY staged_sums FROM STDIN (FORMAT binary)

-- staged: the jobs and the hours of the staged samples
SELECT ARRAY(SELECT DISTINCT job_id FROM staged_samples),
       ARRAY(SELECT DISTINCT date_bin('1 hour', "timestamp", 'epoch') FROM staged_samples)

-- know_jobs: note which jobs are known, for the statements that follow
INSERT INTO staged_jobs (id, since)
SELECT id, coalesce(statistics_since, '-infinity') FROM jobs WHERE id = ANY (%(ids)s::text[])

-- wait: put samples of unknown jobs aside until their job is known; how many, of how many
WITH gpus AS (
    SELECT job_id, "timestamp", node, jsonb_agg(to_jsonb(staged_gpus)) AS gpus
    FROM staged_gpus
    WHERE job_id NOT IN (SELECT id FROM staged_jobs)
    GROUP BY job_id, "timestamp", node
), waiting AS (
    INSERT INTO waiting_samples (job_id, "timestamp", node, batch_id, position, payload)
    SELECT staged.job_id, staged."timestamp", staged.node, staged.batch_id, staged.position,
           jsonb_build_object('sample', to_jsonb(staged), 'gpus', coalesce(gpus.gpus, '[]'))
    FROM staged_samples AS staged
    LEFT JOIN gpus USING (job_id, "timestamp", node)
    WHERE staged.job_id NOT IN (SELECT id FROM staged_jobs)
    ORDER BY job_id, "timestamp", node
    ON CONFLICT (job_id, "timestamp", node) DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM waiting),
       (SELECT count(*) FROM staged_samples WHERE job_id NOT IN (SELECT id FROM staged_jobs))

-- merge: store what is new of the staged samples, stage its sums, and keep its readings; how many of how many
WITH inserted AS (
    INSERT INTO metric_samples (
        job_id, "timestamp", node, cpu_usage, memory_usage_mb, gpu_usage, memory_peak_mb, oom_kills,
        cpu_seconds_total, cpu_throttled_seconds_total, io_read_bytes_total, io_write_bytes_total
    )
    SELECT job_id, "timestamp", node, cpu_usage, memory_usage_mb, gpu_usage, memory_peak_mb,
           oom_kills, cpu_seconds_total, cpu_throttled_seconds_total, io_read_bytes_total,
           io_write_bytes_total
    FROM staged_samples JOIN staged_jobs ON staged_jobs.id = job_id
    ON CONFLICT (job_id, "timestamp", node) DO NOTHING
    RETURNING job_id, "timestamp", node, cpu_usage, memory_usage_mb, gpu_usage
), unstored AS (
    -- A sample that is known brings no readings either, whatever it says now.
    DELETE FROM staged_gpus
    WHERE NOT EXISTS (SELECT FROM inserted
                      WHERE inserted.job_id = staged_gpus.job_id
                        AND inserted."timestamp" = staged_gpus."timestamp"
                        AND inserted.node = staged_gpus.node)
), of_run AS (
    SELECT inserted.*
    FROM inserted JOIN staged_jobs ON staged_jobs.id = job_id AND "timestamp" >= since
), summed AS (
    SELECT job_id, node, count(*) AS samples,
           sum(cpu_usage) AS cpu_sum, max(cpu_usage) AS cpu_max,
           max(memory_usage_mb) AS memory_max,
           count(gpu_usage) AS gpu_samples, coalesce(sum(gpu_usage), 0) AS gpu_sum,
           max(gpu_usage) AS gpu_max
    FROM of_run
    GROUP BY job_id, node
), latest AS (
    SELECT DISTINCT ON (job_id, node) job_id, node, "timestamp", cpu_usage, memory_usage_mb, gpu_usage
    FROM of_run
    ORDER BY job_id, node, "timestamp" DESC
), added AS (
    INSERT INTO staged_sums
    SELECT job_id, node, jobs.start_time, latest."timestamp", latest.cpu_usage,
           latest.memory_usage_mb, latest.gpu_usage, samples, cpu_sum, summed.cpu_max, memory_max,
           gpu_samples, gpu_sum, summed.gpu_max
    FROM summed JOIN latest USING (job_id, node) JOIN jobs ON jobs.id = job_id
)
SELECT (SELECT count(*) FROM inserted),
       (SELECT count(*) FROM staged_samples JOIN staged_jobs ON staged_jobs.id = job_id)

-- add_sums: add what is staged to the statistics of the jobs' nodes
INSERT INTO job_nodes AS known (
    job_id, node, start_time, last_sample_at, cpu_usage, memory_usage_mb, gpu_usage,
    sample_count, cpu_usage_sum, cpu_usage_max, memory_usage_mb_max,
    gpu_sample_count, gpu_usage_sum, gpu_usage_max
)
SELECT * FROM staged_sums ORDER BY job_id, node
ON CONFLICT (job_id, node) DO UPDATE
SET last_sample_at = greatest(known.last_sample_at, excluded.last_sample_at),
    cpu_usage = CASE WHEN excluded.last_sample_at < known.last_sample_at
                     THEN known.cpu_usage ELSE excluded.cpu_usage END,
    memory_usage_mb = CASE WHEN excluded.last_sample_at < known.last_sample_at
                           THEN known.memory_usage_mb ELSE excluded.memory_usage_mb END,
    gpu_usage = CASE WHEN excluded.last_sample_at < known.last_sample_at
                     THEN known.gpu_usage ELSE excluded.gpu_usage END,
    sample_count = known.sample_count + excluded.sample_count,
    cpu_usage_sum = known.cpu_usage_sum + excluded.cpu_usage_sum,
    cpu_usage_max = greatest(known.cpu_usage_max, excluded.cpu_usage_max),
    memory_usage_mb_max = greatest(known.memory_usage_mb_max, excluded.memory_usage_mb_max),
    gpu_sample_count = known.gpu_sample_count + excluded.gpu_sample_count,
    gpu_usage_sum = known.gpu_usage_sum + excluded.gpu_usage_sum,
    gpu_usage_max = greatest(known.gpu_usage_max, excluded.gpu_usage_max)

-- added_jobs: whose statistics were added to
SELECT DISTINCT job_id FROM staged_sums

-- merge_gpus: store the staged GPU readings that are new
INSERT INTO gpu_samples (
    job_id, "timestamp", node, gpu_id, gpu_vendor, utilization_percent, memory_used_mb,
    memory_total_mb, power_watts, temperature_celsius
)
SELECT staged_gpus.* FROM staged_gpus JOIN staged_jobs ON staged_jobs.id = job_id
ON CONFLICT (job_id, "timestamp", node, gpu_id) DO NOTHING

-- see_gpus: keep the latest of the staged readings of each GPU
INSERT INTO job_gpus AS latest (
    job_id, node, gpu_id, gpu_vendor, sampled_at, utilization_percent, memory_used_mb,
    memory_total_mb, power_watts, temperature_celsius
)
SELECT DISTINCT ON (job_id, node, gpu_id)
       job_id, node, gpu_id, gpu_vendor, "timestamp", utilization_percent, memory_used_mb,
       memory_total_mb, power_watts, temperature_celsius
FROM staged_gpus JOIN staged_jobs ON staged_jobs.id = job_id AND "timestamp" >= since
ORDER BY job_id, node, gpu_id, "timestamp" DESC
ON CONFLICT (job_id, node, gpu_id) DO UPDATE
SET gpu_vendor = excluded.gpu_vendor, sampled_at = excluded.sampled_at,
    utilization_percent = excluded.utilization_percent, memory_used_mb = excluded.memory_used_mb,
    memory_total_mb = excluded.memory_total_mb, power_watts = excluded.power_watts,
    temperature_celsius = excluded.temperature_celsius
WHERE excluded.sampled_at > latest.sampled_at

-- see_hosts: take over what nodes tell of themselves, unless something newer is known
INSERT INTO nodes AS known (
    name, last_seen, cluster_name, cpus, memory_total_mb, memory_used_mb, cpu_load, gpus
)
SELECT DISTINCT ON (name)
       name, last_seen, cluster_name, cpus, memory_total_mb, memory_used_mb, cpu_load, gpus
FROM unnest(
    %(names)s::text[], %(seen_at)s::timestamptz[], %(clusters)s::text[], %(cpus)s::int[],
    %(memory_total_mb)s::bigint[], %(memory_used_mb)s::bigint[], %(cpu_load)s::float8[],
    %(gpus)s::int[]
) AS told (name, last_seen, cluster_name, cpus, memory_total_mb, memory_used_mb, cpu_load, gpus)
ORDER BY name, last_seen DESC
ON CONFLICT (name) DO UPDATE
SET last_seen = excluded.last_seen,
    cluster_name = coalesce(excluded.cluster_name, known.cluster_name),
    cpus = coalesce(excluded.cpus, known.cpus),
    memory_total_mb = coalesce(excluded.memory_total_mb, known.memory_total_mb),
    memory_used_mb = coalesce(excluded.memory_used_mb, known.memory_used_mb),
    cpu_load = coalesce(excluded.cpu_load, known.cpu_load),
    gpus = coalesce(excluded.gpus, known.gpus),
    updated_at = now()
WHERE known.last_seen IS NULL OR excluded.last_seen > known.last_seen

-- reject: set bad samples aside with their reason; the same sample counts once
WITH set_aside AS (
    INSERT INTO rejected_samples (
        batch_id, position, node, job_id, reason, payload, cluster_name
    )
    SELECT * FROM unnest(
        %(batch_ids)s::text[], %(positions)s::int[], %(nodes)s::text[], %(job_ids)s::text[],
        %(reasons)s::text[], %(payloads)s::text[], %(clusters)s::text[]
    ) AS given (batch_id, position, node, job_id, reason, payload, cluster_name)
    ORDER BY batch_id, position
    ON CONFLICT (batch_id, position) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM set_aside

-- count: add to the collector's counters
INSERT INTO counter_deltas (name, delta)
SELECT name, delta
FROM (VALUES ('collector_samples', %(stored)s::float8),
             ('collector_duplicates', %(duplicates)s::float8),
             ('collector_rejected', %(rejected)s::float8)) AS counted (name, delta)
WHERE delta > 0

-- awaited_jobs: jobs for which samples wait, and which are known by now; the index is read job by job
WITH RECURSIVE awaited AS (
    (SELECT job_id FROM waiting_samples ORDER BY job_id LIMIT 1)
    UNION ALL
    SELECT (SELECT job_id FROM waiting_samples
            WHERE waiting_samples.job_id > awaited.job_id ORDER BY job_id LIMIT 1)
    FROM awaited
    WHERE awaited.job_id IS NOT NULL
)
SELECT job_id FROM awaited
WHERE EXISTS (SELECT FROM jobs WHERE jobs.id = awaited.job_id)
LIMIT %(limit)s

-- take_waiting: stage samples that wait for some jobs
WITH ready AS (
    DELETE FROM waiting_samples
    WHERE (job_id, "timestamp", node) IN (
        SELECT job_id, "timestamp", node FROM waiting_samples
        WHERE job_id = ANY (%(ids)s::text[])
        ORDER BY job_id, "timestamp", node
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    )
    RETURNING payload
), gpus AS (
    INSERT INTO staged_gpus
    SELECT gpu.* FROM ready, jsonb_populate_recordset(NULL::staged_gpus, payload -> 'gpus') AS gpu
)
INSERT INTO staged_samples
SELECT sample.* FROM ready, jsonb_populate_record(NULL::staged_samples, payload -> 'sample') AS sample

-- give_up: set aside samples that have waited too long for their job
WITH late AS (
    DELETE FROM waiting_samples
    WHERE (job_id, "timestamp", node) IN (
        SELECT job_id, "timestamp", node FROM waiting_samples
        WHERE since < %(before)s
          AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = waiting_samples.job_id)
        ORDER BY job_id, "timestamp", node
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    )
    RETURNING batch_id, position, node, job_id, payload
), set_aside AS (
    INSERT INTO rejected_samples (batch_id, position, node, job_id, reason, payload)
    SELECT batch_id, position, node, job_id, 'job_id: no such job was heard of',
           (jsonb_strip_nulls((payload -> 'sample') - ARRAY['batch_id', 'position', 'node'])
            || jsonb_build_object('gpus', ARRAY(
                   SELECT jsonb_strip_nulls(gpu - ARRAY['job_id', 'timestamp', 'node'])
                   FROM jsonb_array_elements(payload -> 'gpus') AS gpu
               )))::text
    FROM late
    ORDER BY batch_id, position
    ON CONFLICT (batch_id, position) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM set_aside

-- fold: add appended differences to their sums
SELECT fold_counters(), fold_operation_timings()

-- set_gauges: tell when the collector last finished and how far behind it was
INSERT INTO gauges (name, value)
VALUES ('collector_lag_seconds', %(lag_seconds)s),
       ('last_collect_timestamp_seconds', %(finished_at)s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = now()
