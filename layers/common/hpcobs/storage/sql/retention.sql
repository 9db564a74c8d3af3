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

-- limit_lock_wait: stop waiting for a lock soon, so that others do not wait behind this transaction
SELECT set_config('lock_timeout', '250ms', true)

-- count_audit: count the audit rows from before a time
-- Ids ascend with time, and their index is the primary key: one on the time would cost each event.
SELECT count(*) FROM job_audit_events
WHERE id < coalesce((SELECT id FROM job_audit_events WHERE changed_at >= %(before)s
                     ORDER BY id LIMIT 1), 9223372036854775807)

-- delete_audit: delete the oldest audit rows from before a time
DELETE FROM job_audit_events
WHERE id IN (
    SELECT id
    FROM (SELECT id, changed_at FROM job_audit_events ORDER BY id LIMIT %(limit)s) AS oldest
    WHERE changed_at < %(before)s
)

-- surplus_rejected: find the time before which rejected samples are too many
SELECT rejected_at FROM rejected_samples ORDER BY rejected_at DESC OFFSET %(most)s - 1 LIMIT 1

-- count_rejected: count the rejected samples from before a time
SELECT count(*) FROM rejected_samples WHERE rejected_at < %(before)s

-- delete_rejected: delete the oldest rejected samples from before a time
DELETE FROM rejected_samples
WHERE (batch_id, position) IN (
    SELECT batch_id, position FROM rejected_samples
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
WHERE held.start_time < %(before)s AND end_time < %(before)s

-- delete_held_starts: delete held starts from before a time whose jobs have ended before it: nobody confirms them
DELETE FROM unmatched_starts
WHERE (job_id, node) IN (
    SELECT job_id, node
    FROM unmatched_starts AS held JOIN jobs ON jobs.id = job_id
    WHERE held.start_time < %(before)s AND end_time < %(before)s
    LIMIT %(limit)s
    -- An event that has locked several of a job waits for none of the others.
    FOR UPDATE OF held SKIP LOCKED
)
