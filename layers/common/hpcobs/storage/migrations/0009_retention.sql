-- Retention acts on evidence, not on one reading of a clock (docs/adr/0027).

-- What earlier runs of retention saw. believed_at is the time up to which there is evidence that it has come,
-- ran_at is when retention last ran, and steady_since is since when the clock has not jumped.
CREATE TABLE retention_clock (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    believed_at   timestamptz NOT NULL,
    ran_at        timestamptz NOT NULL,
    steady_since  timestamptz NOT NULL
);
-- The last collection is the best evidence of an existing site. A new site has nothing to lose.
INSERT INTO retention_clock (believed_at, ran_at, steady_since)
SELECT seen, seen, seen
FROM (SELECT least(now(), (SELECT set_at FROM gauges WHERE name = 'last_collect_timestamp_seconds'))
          AS seen) AS evidence;

-- The data past their limit that the last run of retention did not delete, and why.
CREATE TABLE retention_held (
    table_name  text NOT NULL,
    reason      text NOT NULL,
    days        double precision NOT NULL,
    PRIMARY KEY (table_name, reason)
);

-- Drops a partition whose rows are all from before now; false if it is not past. The database's clock decides,
-- whatever the caller's clock shows.
CREATE OR REPLACE FUNCTION drop_partition(parent text, first date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := parent || '_' || to_char(first, 'YYYYMMDD');
    bounds text;
BEGIN
    SELECT pg_get_expr(relpartbound, oid) INTO bounds
    FROM pg_class WHERE oid = to_regclass(quote_ident(partition_name));
    IF (regexp_match(bounds, 'TO \(''([^'']+)''\)'))[1]::timestamptz > now() THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS %I', partition_name);
    RETURN true;
END
$$;

-- Counts the jobs that have more samples on a day than their roll-ups have. Only samples that are not sealed
-- count: roll-ups before that time change no more.
CREATE FUNCTION jobs_not_rolled_up(parent text, day date) RETURNS bigint
LANGUAGE plpgsql
-- Without statistics of the day, PostgreSQL would sort its millions of samples.
SET enable_sort = off AS $$
DECLARE
    beginning timestamptz := day::timestamp AT TIME ZONE 'UTC';
    missing bigint;
BEGIN
    EXECUTE format(
        'SELECT count(*)
         FROM (SELECT job_id, count(*) AS samples FROM %I
               WHERE "timestamp" >= $1 AND "timestamp" < $2 GROUP BY job_id) AS stored
         LEFT JOIN LATERAL (
             SELECT sum(sample_count) AS samples FROM %I
             WHERE job_id = stored.job_id AND seconds = 3600
               AND "timestamp" >= $1 AND "timestamp" < $2
         ) AS rolled ON true
         WHERE stored.samples > coalesce(rolled.samples, 0)',
        parent, replace(parent, '_samples', '_rollups'))
    INTO missing
    USING greatest(beginning, (SELECT sealed_before FROM rollup_states WHERE samples = parent)),
          beginning + interval '1 day';
    RETURN missing;
END
$$;

-- Returns whether all samples of a past day are in its roll-ups, and remembers that until the transaction ends.
-- Until then no hour is rolled up. So a sample that is stored after the count leaves its note. If roll-ups lack
-- samples without a note, the hours of the day are noted: the next run rolls them up again.
CREATE FUNCTION check_sample_day(parent text, day date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    beginning timestamptz := day::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF beginning + interval '1 day' > now()
       OR NOT pg_try_advisory_xact_lock(hashtext('hpcobs roll-ups'))
       OR day_has_notes(parent, day) THEN
        RETURN false;
    END IF;
    IF jobs_not_rolled_up(parent, day) > 0 THEN
        INSERT INTO unrolled_hours (hour)
        SELECT generate_series(beginning, beginning + interval '23 hours', interval '1 hour');
        RETURN false;
    END IF;
    PERFORM set_config('hpcobs.checked_day', parent || ' ' || day, true);
    RETURN true;
END
$$;

-- Returns whether hours of a day that are not sealed have samples newer than their roll-ups.
CREATE FUNCTION day_has_notes(parent text, day date) RETURNS boolean
LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT FROM unrolled_hours
        WHERE hour >= greatest(day::timestamp AT TIME ZONE 'UTC',
                               (SELECT sealed_before FROM rollup_states WHERE samples = parent))
          AND hour < (day + 1)::timestamp AT TIME ZONE 'UTC')
$$;

-- Drops a day of samples that is past, rolled up and checked, and seals its roll-ups; false if it is not. The
-- check comes before the lock, because it reads the whole day: the lock stops all who store samples.
CREATE OR REPLACE FUNCTION drop_sample_day(parent text, day date) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('hpcobs.checked_day', true) IS DISTINCT FROM parent || ' ' || day
       AND NOT check_sample_day(parent, day) THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
    -- Samples stored since the check are noted. Nobody is amid storing samples of that day now.
    IF day_has_notes(parent, day) OR NOT drop_partition(parent, day) THEN
        RETURN false;
    END IF;
    UPDATE rollup_states
    SET sealed_before = greatest(sealed_before, (day + 1)::timestamp AT TIME ZONE 'UTC')
    WHERE samples = parent;
    RETURN true;
END
$$;

-- Heal what an earlier version did while its clock was ahead. Hours that have not come are not rolled up.
UPDATE rollup_states
SET rolled_before = least(rolled_before, date_bin('1 hour', now() - interval '15 minutes', 'epoch'));

-- Days that have not come are not sealed. The hours with roll-ups stay sealed, because their samples may be gone.
-- The samples that were stored since then were never rolled up: their hours are noted.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM rollup_states WHERE sealed_before > now()) THEN
        RETURN;
    END IF;
    UPDATE rollup_states
    SET sealed_before = least(now(), coalesce(hour + interval '1 hour', '-infinity'))
    FROM (SELECT 'metric_samples' AS of_samples, max("timestamp") AS hour
          FROM metric_rollups WHERE seconds = 3600 AND "timestamp" <= now()
          UNION ALL
          SELECT 'gpu_samples', max("timestamp")
          FROM gpu_rollups WHERE seconds = 3600 AND "timestamp" <= now()) AS rolled
    WHERE samples = of_samples AND sealed_before > now();
    INSERT INTO unrolled_hours (hour)
    SELECT DISTINCT date_bin('1 hour', "timestamp", 'epoch')
    FROM (SELECT "timestamp" FROM metric_samples UNION ALL SELECT "timestamp" FROM gpu_samples) AS stored
    WHERE "timestamp" >= (SELECT min(sealed_before) FROM rollup_states);
END
$$;
