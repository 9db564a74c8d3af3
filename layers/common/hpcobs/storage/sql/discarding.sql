-- discard: remove samples that came under a wrong claim on the job, and note their hours for the roll-ups
-- Both notes are needed: the first makes the roll-up delete the job's part, the second sum it up again.
WITH wrong AS (
    DELETE FROM metric_samples
    WHERE job_id = %(id)s
      AND ((node <> ALL (%(kept_nodes)s::text[])
            AND "timestamp" >= coalesce(%(since)s::timestamptz, '-infinity')
            AND "timestamp" < coalesce(%(until)s::timestamptz, 'infinity'))
           OR "timestamp" < %(before)s::timestamptz)
    RETURNING "timestamp"
), wrong_gpus AS (
    DELETE FROM gpu_samples
    WHERE job_id = %(id)s
      AND ((node <> ALL (%(kept_nodes)s::text[])
            AND "timestamp" >= coalesce(%(since)s::timestamptz, '-infinity')
            AND "timestamp" < coalesce(%(until)s::timestamptz, 'infinity'))
           OR "timestamp" < %(before)s::timestamptz)
    RETURNING "timestamp"
), latest AS (
    DELETE FROM job_gpus
    WHERE job_id = %(id)s
      AND ((node <> ALL (%(kept_nodes)s::text[])
            AND sampled_at < coalesce(%(until)s::timestamptz, 'infinity'))
           OR sampled_at < %(before)s::timestamptz)
), hours AS (
    SELECT DISTINCT date_bin('1 hour', "timestamp", 'epoch') AS hour
    FROM (SELECT * FROM wrong UNION ALL SELECT * FROM wrong_gpus) AS gone
), noted AS (
    INSERT INTO unrolled_hours (hour, removed_job_id)
    SELECT hour, removed FROM hours, unnest(ARRAY[%(id)s, NULL]) AS removed
)
SELECT count(*) FROM wrong

-- move: give the samples since a time to a later submission of the job's id, and note their hours
WITH moved AS (
    UPDATE metric_samples SET job_id = %(to)s
    WHERE job_id = %(id)s AND "timestamp" >= %(since)s
    RETURNING "timestamp"
), moved_gpus AS (
    UPDATE gpu_samples SET job_id = %(to)s
    WHERE job_id = %(id)s AND "timestamp" >= %(since)s
    RETURNING "timestamp"
), latest AS (
    UPDATE job_gpus SET job_id = %(to)s WHERE job_id = %(id)s AND sampled_at >= %(since)s
), hours AS (
    SELECT DISTINCT date_bin('1 hour', "timestamp", 'epoch') AS hour
    FROM (SELECT * FROM moved UNION ALL SELECT * FROM moved_gpus) AS gone
), noted AS (
    INSERT INTO unrolled_hours (hour, removed_job_id)
    SELECT hour, removed FROM hours, unnest(ARRAY[%(id)s, NULL]) AS removed
)
SELECT count(*) FROM moved
