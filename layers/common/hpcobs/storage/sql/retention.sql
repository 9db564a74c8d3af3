-- ensure_days: create a day's partition of a table; return false if it exists
SELECT ensure_day_partition(%(table)s, %(first)s)

-- ensure_months: create a month's partition of a table; return false if it exists
SELECT ensure_month_partition(%(table)s, %(first)s)

-- partitions: list the first days of a table's partitions, oldest first
SELECT to_date(right(relname, 8), 'YYYYMMDD')
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = %(table)s::regclass AND relname ~ '_[0-9]{8}$'
ORDER BY 1

-- drop_days: drop a day of samples that is rolled up, and seal its roll-ups; return false if it is not
SELECT drop_sample_day(%(table)s, %(first)s)

-- drop_months: drop a month of roll-ups
SELECT drop_partition(%(table)s, %(first)s)

-- check_days: check that all samples of a day are rolled up, before it is locked; return false if they are not
-- An hour of a large site needs more memory and time than other statements, and this reads a day.
SELECT check_sample_day(%(table)s, %(first)s)
FROM (SELECT set_config('work_mem', '64MB', true), set_config('statement_timeout', '200s', true)) AS settings

-- rolled_up: read whether all samples of a day are rolled up; hours that are due count as given
SELECT CASE WHEN day_has_notes(%(table)s, %(first)s) THEN %(due)s::boolean
            ELSE jobs_not_rolled_up(%(table)s, %(first)s) = 0 END

-- evidence: read the database's clock, the hour of the newest stored sample, and what the last run saw
SELECT now(), (SELECT max(hour) FROM unrolled_hours WHERE hour <= now()), believed_at, ran_at, steady_since
FROM retention_clock

-- save_witness: store what this run saw, for the next one
UPDATE retention_clock
SET believed_at = %(believed_at)s, ran_at = %(ran_at)s, steady_since = %(steady_since)s

-- forget_held: delete what the last run held
DELETE FROM retention_held

-- hold: store which data are past their limit and stay, for /metrics
INSERT INTO retention_held (table_name, reason, days)
SELECT * FROM unnest(%(tables)s::text[], %(reasons)s::text[], %(days)s::float8[])

-- limit_lock_wait: stop waiting for a lock soon, so that others do not wait behind this transaction
SELECT set_config('lock_timeout', '250ms', true)

-- oldest_audit: find the time of the oldest audit row since a time
SELECT changed_at FROM job_audit_events
WHERE changed_at >= coalesce(%(since)s::timestamptz, '-infinity') AND changed_at <= now()
ORDER BY id LIMIT 1

-- oldest_rejected: find when the oldest rejected sample since a time was rejected
SELECT min(rejected_at) FROM rejected_samples
WHERE rejected_at >= coalesce(%(since)s::timestamptz, '-infinity')

-- oldest_dead: find when the oldest dead letter since a time died
SELECT min(died_at) FROM sample_queue_dead
WHERE died_at >= coalesce(%(since)s::timestamptz, '-infinity')

-- oldest_held_starts: find the time from which the oldest held start of an ended job, since a time, counts
SELECT min(greatest(held.start_time, end_time))
FROM unmatched_starts AS held JOIN jobs ON jobs.id = job_id
WHERE end_time IS NOT NULL
  AND greatest(held.start_time, end_time) >= coalesce(%(since)s::timestamptz, '-infinity')

-- count_audit: count the audit rows from before a time, up to the first that is not
-- Ids ascend with time, and their index is the primary key: one on the time would cost each event. A row
-- behind a later one, and a row from the future, have their times from a clock that was wrong.
SELECT count(*) FROM job_audit_events
WHERE changed_at < %(before)s
  AND id < coalesce((SELECT id FROM job_audit_events
                     WHERE changed_at >= %(before)s AND changed_at <= now()
                     ORDER BY id LIMIT 1), 9223372036854775807)

-- delete_audit: delete the oldest audit rows from before a time, up to the first that is not
DELETE FROM job_audit_events
WHERE id = ANY (ARRAY(
    SELECT id
    FROM (SELECT id, bool_and(changed_at < %(before)s) OVER (ORDER BY id) AS expired
          -- Rows from the future would fill the limit, and hold back all behind them for years.
          FROM (SELECT id, changed_at FROM job_audit_events
                WHERE changed_at <= now() ORDER BY id LIMIT %(limit)s) AS oldest
         ) AS judged
    WHERE expired
))

-- surplus_rejected: find the time before which rejected samples are too many
SELECT rejected_at FROM rejected_samples ORDER BY rejected_at DESC OFFSET %(most)s - 1 LIMIT 1

-- count_rejected: count the rejected samples from before a time
SELECT count(*) FROM rejected_samples WHERE rejected_at < %(before)s

-- delete_rejected: delete the oldest rejected samples from before a time
DELETE FROM rejected_samples
WHERE id IN (
    SELECT id FROM rejected_samples
    WHERE rejected_at < %(before)s ORDER BY rejected_at LIMIT %(limit)s
)

-- count_dead: count the dead letters from before a time
SELECT count(*) FROM sample_queue_dead WHERE died_at < %(before)s

-- delete_dead: delete dead letters from before a time
DELETE FROM sample_queue_dead
WHERE id IN (SELECT id FROM sample_queue_dead WHERE died_at < %(before)s LIMIT %(limit)s)

-- count_held_starts: count the held starts from before a time whose jobs have ended before it
SELECT count(*)
FROM unmatched_starts AS held JOIN jobs ON jobs.id = job_id
WHERE greatest(held.start_time, end_time) < %(before)s AND end_time IS NOT NULL

-- delete_held_starts: delete held starts from before a time whose jobs have ended before it: nobody confirms them
DELETE FROM unmatched_starts
WHERE (job_id, node) IN (
    SELECT job_id, node
    FROM unmatched_starts AS held JOIN jobs ON jobs.id = job_id
    WHERE greatest(held.start_time, end_time) < %(before)s AND end_time IS NOT NULL
    LIMIT %(limit)s
    -- An event that has locked several of a job waits for none of the others.
    FOR UPDATE OF held SKIP LOCKED
)
