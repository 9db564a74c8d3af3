-- Roll-ups: what each job did on each node, and on each GPU, in every five minutes and every hour.
-- They hold sums and counts, so that any number of them adds up to what the samples would have given.
-- Partitioned by month; docs/adr/0009 tells how they stay equal to the samples.

CREATE TABLE metric_rollups (
    "timestamp"          timestamptz NOT NULL,       -- where the interval begins
    cpu_usage_sum        double precision NOT NULL,
    cpu_usage_max        double precision NOT NULL,
    memory_usage_mb_sum  bigint NOT NULL,
    memory_usage_mb_max  bigint NOT NULL,
    gpu_usage_sum        double precision,
    gpu_usage_max        double precision,
    seconds              smallint NOT NULL,          -- how long it is: 300 or 3600
    sample_count         integer NOT NULL,
    gpu_sample_count     integer NOT NULL,
    job_id               text COLLATE "C" NOT NULL,
    node                 text COLLATE "C" NOT NULL
) PARTITION BY RANGE ("timestamp");
CREATE UNIQUE INDEX metric_rollups_key ON metric_rollups (job_id, seconds, "timestamp", node);

CREATE TABLE gpu_rollups (
    "timestamp"              timestamptz NOT NULL,
    utilization_percent_sum  double precision,
    utilization_percent_max  double precision,
    memory_used_mb_sum       bigint,
    memory_used_mb_max       bigint,
    memory_total_mb_max      bigint,
    power_watts_sum          double precision,
    temperature_celsius_sum  double precision,
    seconds                  smallint NOT NULL,
    sample_count             integer NOT NULL,
    utilization_count        integer NOT NULL,       -- how many samples had that reading
    memory_used_count        integer NOT NULL,
    power_count              integer NOT NULL,
    temperature_count        integer NOT NULL,
    job_id                   text COLLATE "C" NOT NULL,
    node                     text COLLATE "C" NOT NULL,
    gpu_id                   text COLLATE "C" NOT NULL,
    gpu_vendor               text COLLATE "C" NOT NULL
) PARTITION BY RANGE ("timestamp");
CREATE UNIQUE INDEX gpu_rollups_key
    ON gpu_rollups (job_id, seconds, "timestamp", node, gpu_id, gpu_vendor);

-- The hours whose roll-ups lack something. Whoever stores samples appends the hours that they are of,
-- in the same transaction; whoever rolls an hour up first deletes what was appended. So a sample that
-- comes while its hour is rolled up leaves its note behind. A removed job's roll-ups must go.
CREATE TABLE unrolled_hours (
    hour            timestamptz NOT NULL,
    removed_job_id  text COLLATE "C"
);
CREATE INDEX unrolled_hours_by_hour ON unrolled_hours (hour);

-- Per table of samples: before rolled_before, hours without a note are rolled up; before
-- sealed_before, samples are gone (whole days), and roll-ups change no more.
CREATE TABLE rollup_states (
    samples        text PRIMARY KEY,
    rolled_before  timestamptz NOT NULL DEFAULT '-infinity',
    sealed_before  timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO rollup_states (samples) VALUES ('metric_samples'), ('gpu_samples');

-- Where a series from "lower" to before "upper" is read from: which times from roll-ups, which from
-- samples. Roll-ups serve where samples are gone, then widened to whole intervals, and where they say
-- the very same: whole intervals within the series that its buckets are multiples of.
CREATE FUNCTION series_sources(
    samples_table text, lower timestamptz, upper timestamptz, bucket_seconds integer,
    interval_seconds integer, OUT rolled tstzmultirange, OUT raw tstzmultirange
)
LANGUAGE sql STABLE AS $$
    WITH state AS (
        SELECT rolled_before, sealed_before,
               make_interval(secs => interval_seconds) AS step,
               bucket_seconds % interval_seconds = 0 AS fits
        FROM rollup_states WHERE samples = samples_table
    ), bounds AS (
        SELECT *,
               CASE WHEN lower < sealed_before THEN date_bin(step, lower, 'epoch')
                    ELSE date_bin(step, lower + step - interval '1 microsecond', 'epoch')
               END AS rolled_from,
               CASE WHEN fits AND upper > sealed_before
                    THEN greatest(sealed_before,
                                  least(date_bin(step, upper, 'epoch'), rolled_before))
                    ELSE least(upper, sealed_before)
               END AS rolled_to
        FROM state
    ), noted AS (
        SELECT coalesce(range_agg(tstzrange(hour, hour + interval '1 hour')), '{}') AS hours
        FROM (SELECT DISTINCT unrolled_hours.hour
              FROM unrolled_hours, bounds
              WHERE unrolled_hours.hour >= greatest(sealed_before, rolled_from - interval '1 hour')
                AND unrolled_hours.hour < rolled_to) AS seen
    ), parts AS (
        SELECT tstzmultirange(tstzrange(rolled_from, greatest(rolled_from, rolled_to))) - hours
                   AS rolled,
               greatest(lower, sealed_before) AS raw_from
        FROM bounds, noted
    )
    SELECT rolled, tstzmultirange(tstzrange(raw_from, greatest(raw_from, upper))) - rolled
    FROM parts
$$;

-- Makes a month's partition of a table unless it is there; it is named after the month's first day.
CREATE FUNCTION ensure_month_partition(parent text, month date) RETURNS boolean
LANGUAGE sql AS $$
    SELECT ensure_partition(parent, date_trunc('month', month)::date,
                            (date_trunc('month', month) + interval '1 month')::date)
$$;

-- Drops a day of samples whose roll-ups stand, and seals these; false if they do not stand yet. The
-- lock comes first: nobody then is amid storing samples of that day.
CREATE FUNCTION drop_sample_day(parent text, day date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    beginning timestamptz := day::timestamp AT TIME ZONE 'UTC';
BEGIN
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
    IF EXISTS (SELECT FROM unrolled_hours
               WHERE hour >= greatest(beginning, (SELECT sealed_before FROM rollup_states
                                                  WHERE samples = parent))
                 AND hour < beginning + interval '1 day') THEN
        RETURN false;
    END IF;
    UPDATE rollup_states
    SET sealed_before = greatest(sealed_before, beginning + interval '1 day')
    WHERE samples = parent;
    RETURN drop_partition(parent, day);
END
$$;
