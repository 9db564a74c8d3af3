-- lock_key: lock a stored job by its key
SELECT FROM jobs WHERE id = %(id)s FOR UPDATE

-- delete: remove a locked job, if it is the user's, with what is kept of its nodes, and record that in its trail
WITH gone AS (
    DELETE FROM jobs
    WHERE id = %(id)s AND (%(user)s::text IS NULL OR user_name = %(user)s)
    RETURNING *
), noted AS (
    INSERT INTO job_audit_events (
        job_id, change_type, changed_by, source, correlation_id, job_snapshot
    )
    SELECT id, %(change_type)s, %(changed_by)s, %(source)s, %(correlation_id)s,
           jsonb_strip_nulls(to_jsonb(gone))
    FROM gone
), nodes_gone AS (
    DELETE FROM job_nodes USING gone WHERE job_id = gone.id
), latest_gone AS (
    DELETE FROM job_gpus USING gone WHERE job_id = gone.id
), waiting_gone AS (
    DELETE FROM waiting_samples USING gone WHERE job_id = gone.id
), ends_gone AS (
    DELETE FROM unmatched_ends USING gone WHERE job_id = gone.id
), starts_gone AS (
    DELETE FROM unmatched_starts USING gone WHERE job_id = gone.id
)
SELECT count(*) FROM gone

-- delete_samples: delete the next samples of a deleted job, and note their hours; return where to go on, or NULL
-- A roll-up of these hours may be under way, which this statement does not see. The note makes the
-- next one delete the job's part (migration 0004). A sealed hour is not rolled up again.
WITH bound AS MATERIALIZED (
    SELECT (SELECT "timestamp" FROM metric_samples
            WHERE job_id = %(id)s AND "timestamp" > %(since)s::timestamptz
            ORDER BY "timestamp" OFFSET %(limit)s LIMIT 1) AS until
), gone AS (
    DELETE FROM metric_samples
    WHERE job_id = %(id)s AND "timestamp" >= %(since)s::timestamptz
      AND "timestamp" < coalesce((SELECT until FROM bound), 'infinity')
    RETURNING "timestamp"
), noted AS (
    INSERT INTO unrolled_hours (hour, removed_job_id)
    SELECT DISTINCT date_bin('1 hour', "timestamp", 'epoch'), %(id)s FROM gone
    WHERE NOT {{conditions.metrics_sealed}}
)
SELECT until FROM bound

-- delete_gpu_samples: delete the next readings of a deleted job's GPUs, as delete_samples does
WITH bound AS MATERIALIZED (
    SELECT (SELECT "timestamp" FROM gpu_samples
            WHERE job_id = %(id)s AND "timestamp" > %(since)s::timestamptz
            ORDER BY "timestamp" OFFSET %(limit)s LIMIT 1) AS until
), gone AS (
    DELETE FROM gpu_samples
    WHERE job_id = %(id)s AND "timestamp" >= %(since)s::timestamptz
      AND "timestamp" < coalesce((SELECT until FROM bound), 'infinity')
    RETURNING "timestamp"
), noted AS (
    INSERT INTO unrolled_hours (hour, removed_job_id)
    SELECT DISTINCT date_bin('1 hour', "timestamp", 'epoch'), %(id)s FROM gone
    WHERE NOT {{conditions.gpus_sealed}}
)
SELECT until FROM bound

-- delete_rollups: delete the next roll-ups of a deleted job; return where to go on, or NULL
-- A roll-up under way has locked some. To wait for it could be a deadlock, and take minutes. These
-- rows are left to the next roll-up, which finds the notes of their hours.
WITH bound AS MATERIALIZED (
    SELECT (SELECT "timestamp" FROM metric_rollups
            WHERE job_id = %(id)s AND seconds = 300 AND "timestamp" > %(since)s::timestamptz
            ORDER BY "timestamp" OFFSET %(limit)s LIMIT 1) AS until
), free AS MATERIALIZED (
    SELECT seconds, "timestamp", node FROM metric_rollups
    WHERE job_id = %(id)s AND seconds IN (300, 3600) AND "timestamp" >= %(since)s::timestamptz
      AND "timestamp" < coalesce((SELECT until FROM bound), 'infinity')
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM metric_rollups AS of_job USING free
    WHERE of_job.job_id = %(id)s AND of_job.seconds = free.seconds
      AND of_job."timestamp" = free."timestamp"
      AND of_job.node = free.node
)
SELECT until FROM bound

-- delete_gpu_rollups: delete the next roll-ups of a deleted job's GPUs, as delete_rollups does
WITH bound AS MATERIALIZED (
    SELECT (SELECT "timestamp" FROM gpu_rollups
            WHERE job_id = %(id)s AND seconds = 300 AND "timestamp" > %(since)s::timestamptz
            ORDER BY "timestamp" OFFSET %(limit)s LIMIT 1) AS until
), free AS MATERIALIZED (
    SELECT seconds, "timestamp", node, gpu_id, gpu_vendor FROM gpu_rollups
    WHERE job_id = %(id)s AND seconds IN (300, 3600) AND "timestamp" >= %(since)s::timestamptz
      AND "timestamp" < coalesce((SELECT until FROM bound), 'infinity')
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM gpu_rollups AS of_job USING free
    WHERE of_job.job_id = %(id)s AND of_job.seconds = free.seconds
      AND of_job."timestamp" = free."timestamp"
      AND of_job.node = free.node
      AND of_job.gpu_id = free.gpu_id
      AND of_job.gpu_vendor = free.gpu_vendor
)
SELECT until FROM bound
