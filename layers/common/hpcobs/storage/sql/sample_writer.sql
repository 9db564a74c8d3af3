-- create_staging: create the session's staging tables, which are empty at the start of every transaction
-- A session keeps them: creating tables for every transaction would bloat the catalog. Their columns
-- stand in the order in which COPY sends them.
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
    position                     integer,
    cluster_name                 text,
    reported_id                  text
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
    temperature_celsius  double precision,
    shared               boolean
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
    since  timestamptz NOT NULL,
    first  timestamptz NOT NULL,
    until  timestamptz NOT NULL
) ON COMMIT DELETE ROWS

-- clear_staging: empty the staging tables within a transaction that stages more than once
TRUNCATE staged_samples, staged_gpus, staged_sums, staged_jobs

-- submissions: read the submissions of those ids that Slurm has used again, the latest first
-- A partial index, which has entries of such jobs only, answers this.
SELECT split_part(public_id, '@', 1), id, submission_at, end_time
FROM jobs
WHERE public_id IS NOT NULL AND split_part(public_id, '@', 1) = ANY (%(ids)s::text[])
ORDER BY submission_at DESC

-- lock_jobs: lock jobs in the order of their ids, and read when they started and where their statistics begin
-- No sample comes later than ten minutes after the end of its job: it is of a later submission of the id.
SELECT id, start_time, statistics_since, end_time + interval '10 minutes', public_id IS NOT NULL,
       {{conditions.first_sample}}
FROM jobs
WHERE id = ANY (%(ids)s::text[])
-- Every writer locks jobs in this order, so that two collectors never wait for each other in a circle.
ORDER BY id
-- The lock that the update of the jobs' statistics takes anyway: it changes no column of a key.
FOR NO KEY UPDATE

-- open_hours: record that the roll-ups of some hours lack samples, create partitions, and read which days are dropped
-- ADR 0009. In the transaction of the samples, so that no roll-up can miss them, and no day be dropped below them.
SELECT samples_sealed_before, gpus_sealed_before FROM open_sample_hours(%(hours)s::timestamptz[])

-- limits: read the time, and the time before which the days of samples are dropped
-- Not now(), which is when the transaction began.
SELECT clock_timestamp(), nullif(sealed_before, '-infinity')
FROM rollup_states WHERE samples = 'metric_samples'

-- stage_known_jobs: stage which of some jobs exist, for the statements that follow
INSERT INTO staged_jobs (id, since, first, until)
SELECT id, coalesce(statistics_since, '-infinity'), coalesce({{conditions.first_sample}}, '-infinity'),
       coalesce(end_time + interval '10 minutes', 'infinity')
FROM jobs WHERE id = ANY (%(ids)s::text[])

-- stage_gpus: stage GPU readings
COPY staged_gpus FROM STDIN (FORMAT binary)

-- add_sums: add the staged sums to the statistics of the jobs' nodes
INSERT INTO job_nodes AS known (
    job_id, node, start_time, last_sample_at, cpu_usage, memory_usage_mb, gpu_usage,
    sample_count, cpu_usage_sum, cpu_usage_max, memory_usage_mb_max,
    gpu_sample_count, gpu_usage_sum, gpu_usage_max
)
-- Rows are locked in the order of the key, as by every statement that writes several of them.
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

-- update_latest_gpus: keep the latest of the staged readings of each GPU
INSERT INTO job_gpus AS latest (
    job_id, node, gpu_id, gpu_vendor, sampled_at, utilization_percent, memory_used_mb,
    memory_total_mb, power_watts, temperature_celsius, shared
)
SELECT DISTINCT ON (job_id, node, gpu_id)
       job_id, node, gpu_id, gpu_vendor, "timestamp", utilization_percent, memory_used_mb,
       memory_total_mb, power_watts, temperature_celsius, shared
FROM staged_gpus JOIN staged_jobs ON staged_jobs.id = job_id AND "timestamp" >= since
ORDER BY job_id, node, gpu_id, "timestamp" DESC
ON CONFLICT (job_id, node, gpu_id) DO UPDATE
SET gpu_vendor = excluded.gpu_vendor, sampled_at = excluded.sampled_at,
    utilization_percent = excluded.utilization_percent, memory_used_mb = excluded.memory_used_mb,
    memory_total_mb = excluded.memory_total_mb, power_watts = excluded.power_watts,
    temperature_celsius = excluded.temperature_celsius, shared = excluded.shared
WHERE excluded.sampled_at > latest.sampled_at

-- update_hosts: store what nodes report of themselves, unless a newer report is stored
INSERT INTO nodes AS known (
    name, last_seen, cluster_name, cpus, memory_total_mb, memory_used_mb, cpu_load, gpus
)
SELECT DISTINCT ON (cluster_name, name)
       name, last_seen, cluster_name, cpus, memory_total_mb, memory_used_mb, cpu_load, gpus
FROM unnest(
    %(names)s::text[], %(seen_at)s::timestamptz[], %(clusters)s::text[], %(cpus)s::int[],
    %(memory_total_mb)s::bigint[], %(memory_used_mb)s::bigint[], %(cpu_load)s::float8[],
    %(gpus)s::int[]
) AS reported (name, last_seen, cluster_name, cpus, memory_total_mb, memory_used_mb, cpu_load, gpus)
ORDER BY cluster_name, name, last_seen DESC
ON CONFLICT (cluster_name, name) DO UPDATE
SET last_seen = excluded.last_seen,
    cpus = coalesce(excluded.cpus, known.cpus),
    memory_total_mb = coalesce(excluded.memory_total_mb, known.memory_total_mb),
    memory_used_mb = coalesce(excluded.memory_used_mb, known.memory_used_mb),
    cpu_load = coalesce(excluded.cpu_load, known.cpu_load),
    gpus = coalesce(excluded.gpus, known.gpus),
    updated_at = now()
WHERE known.last_seen IS NULL OR excluded.last_seen > known.last_seen
   -- A report from the future came while the clock was ahead. It must not hide those that follow.
   OR known.last_seen > now() + interval '10 minutes'

-- reject: store rejected samples with their reason, the same sample of the same sender once
-- Senders choose the ids of their batches, so an id alone identifies nothing (ADR 0030).
WITH stored AS (
    INSERT INTO rejected_samples_by_sender (
        batch_id, position, node, job_id, reason, payload, cluster_name, digest
    )
    SELECT *, sha256(convert_to(payload, 'UTF8'))
    FROM unnest(
        %(batch_ids)s::text[], %(positions)s::int[], %(nodes)s::text[], %(job_ids)s::text[],
        %(reasons)s::text[], %(payloads)s::text[], %(clusters)s::text[]
    ) AS given (batch_id, position, node, job_id, reason, payload, cluster_name)
    ORDER BY batch_id, position, node, cluster_name, payload
    ON CONFLICT (batch_id, position, node, coalesce(cluster_name, ''), digest) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM stored

-- count: add to the collector's counters
-- ADR 0002: differences are appended, because writers of one row would wait for each other.
INSERT INTO counter_deltas (name, delta)
SELECT name, delta
FROM (VALUES ('collector_samples', %(stored)s::float8),
             ('collector_duplicates', %(duplicates)s::float8),
             ('collector_rejected', %(rejected)s::float8)) AS counted (name, delta)
WHERE delta > 0

-- fold: add the appended differences to their sums
SELECT fold_counters(), fold_operation_timings()

-- set_gauges: store when the collector last finished and how far behind it was
INSERT INTO gauges (name, value)
VALUES ('collector_lag_seconds', %(lag_seconds)s),
       ('last_collect_timestamp_seconds', %(finished_at)s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = now()
