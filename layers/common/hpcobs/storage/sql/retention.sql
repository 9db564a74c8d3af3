-- ensure_days: make a day's partition of a table; false if it is there
SELECT ensure_day_partition(%(table)s, %(first)s)

-- ensure_months: make a month's partition of a table; false if it is there
SELECT ensure_month_partition(%(table)s, %(first)s)

-- partitions: the days with which a table's partitions begin, oldest first
SELECT to_date(right(relname, 8), 'YYYYMMDD')
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = %(table)s::regclass AND relname ~ '_[0-9]{8}$'
ORDER BY 1

-- drop_days: drop a day of samples whose roll-ups stand, and seal these; false if they do not stand
SELECT drop_sample_day(%(table)s, %(first)s)

-- drop_months: drop a month of roll-ups
SELECT drop_partition(%(table)s, %(first)s)

-- impatient: give up soon rather than make others wait behind us
SELECT set_config('lock_timeout', '250ms', true)

-- count_audit: how many audit rows are from before a time; ids ascend with time
SELECT count(*) FROM job_audit_events
WHERE id < coalesce((SELECT id FROM job_audit_events WHERE changed_at >= %(before)s
                     ORDER BY id LIMIT 1), 9223372036854775807)

-- delete_audit: delete the oldest audit rows from before a time; ids ascend with time
DELETE FROM job_audit_events
WHERE id IN (
    SELECT id
    FROM (SELECT id, changed_at FROM job_audit_events ORDER BY id LIMIT %(limit)s) AS oldest
    WHERE changed_at < %(before)s
)

-- surplus_rejected: before when rejected samples are too many, the latest of which are kept
SELECT rejected_at FROM rejected_samples ORDER BY rejected_at DESC OFFSET %(most)s - 1 LIMIT 1

-- count_rejected: how many rejected samples are from before a time
SELECT count(*) FROM rejected_samples WHERE rejected_at < %(before)s

-- delete_rejected: delete the oldest rejected samples from before a time
DELETE FROM rejected_samples
WHERE (batch_id, position) IN (
    SELECT batch_id, position FROM rejected_samples
    WHERE rejected_at < %(before)s ORDER BY rejected_at LIMIT %(limit)s
)

-- count_dead: how many dead letters are from before a time
SELECT count(*) FROM sample_queue_dead WHERE died_at < %(before)s

-- delete_dead: delete dead letters from before a time
DELETE FROM sample_queue_dead
WHERE id IN (SELECT id FROM sample_queue_dead WHERE died_at < %(before)s LIMIT %(limit)s)
