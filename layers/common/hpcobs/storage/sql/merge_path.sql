-- stage_samples: stage samples that may be stored already
COPY staged_samples FROM STDIN (FORMAT binary)

-- staged: list the jobs and the hours of the staged samples
SELECT ARRAY(SELECT DISTINCT job_id FROM staged_samples),
       ARRAY(SELECT DISTINCT date_bin('1 hour', "timestamp", 'epoch') FROM staged_samples)

-- keep_waiting: keep the staged samples of unknown jobs until their job is known; count the kept and all of them
WITH gpus AS (
    SELECT job_id, "timestamp", node, jsonb_agg(to_jsonb(staged_gpus)) AS gpus
    FROM staged_gpus
    WHERE NOT EXISTS (SELECT FROM staged_jobs WHERE id = job_id AND "timestamp" BETWEEN first AND until)
    GROUP BY job_id, "timestamp", node
), waiting AS (
    INSERT INTO waiting_samples (
        job_id, "timestamp", node, batch_id, position, cluster_name, reported_id, payload
    )
    SELECT staged.job_id, staged."timestamp", staged.node, staged.batch_id, staged.position,
           staged.cluster_name, staged.reported_id,
           -- Without what has a column: the version before would take it for a part of the sample.
           jsonb_build_object('sample', to_jsonb(staged) - ARRAY['cluster_name', 'reported_id'],
                              'gpus', coalesce(gpus.gpus, '[]'))
    FROM staged_samples AS staged
    LEFT JOIN gpus USING (job_id, "timestamp", node)
    WHERE NOT EXISTS (
        SELECT FROM staged_jobs WHERE id = staged.job_id AND staged."timestamp" BETWEEN first AND until
    )
    -- No job is locked here, so this order of the keys keeps two collectors from a deadlock.
    ORDER BY job_id, "timestamp", node
    ON CONFLICT (job_id, "timestamp", node) DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM waiting),
       (SELECT count(*) FROM staged_samples
        WHERE NOT EXISTS (SELECT FROM staged_jobs WHERE id = job_id AND "timestamp" BETWEEN first AND until))

-- merge: store the staged samples that are new, stage their sums and keep their readings; count the new and all of them
WITH inserted AS (
    INSERT INTO metric_samples ({{columns.samples}})
    SELECT {{columns.samples}}
    FROM staged_samples JOIN staged_jobs ON staged_jobs.id = job_id AND "timestamp" BETWEEN first AND until
    ON CONFLICT (job_id, "timestamp", node) DO NOTHING
    RETURNING job_id, "timestamp", node, cpu_usage, memory_usage_mb, gpu_usage
), unstored AS (
    -- The first delivery of a sample stands, so a repeated one must not add readings either.
    DELETE FROM staged_gpus
    WHERE NOT EXISTS (SELECT FROM inserted
                      WHERE inserted.job_id = staged_gpus.job_id
                        AND inserted."timestamp" = staged_gpus."timestamp"
                        AND inserted.node = staged_gpus.node)
), of_run AS (
    -- A late sample of an earlier run is stored, but the statistics are those of the current run.
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
       (SELECT count(*) FROM staged_samples
        JOIN staged_jobs ON staged_jobs.id = job_id AND "timestamp" BETWEEN first AND until)

-- changed_jobs: list the jobs whose statistics were added to
SELECT DISTINCT job_id FROM staged_sums

-- merge_gpus: store the staged GPU readings that are new
INSERT INTO gpu_samples ({{columns.gpu_samples}})
SELECT staged_gpus.*
FROM staged_gpus JOIN staged_jobs ON staged_jobs.id = job_id AND "timestamp" BETWEEN first AND until
ON CONFLICT (job_id, "timestamp", node, gpu_id) DO NOTHING

-- waiting_jobs: list the jobs that have waiting samples and are known by now
-- DISTINCT would read every waiting sample. The recursion reads one index entry for each job.
WITH RECURSIVE waiting AS (
    (SELECT job_id FROM waiting_samples ORDER BY job_id LIMIT 1)
    UNION ALL
    SELECT (SELECT job_id FROM waiting_samples
            WHERE waiting_samples.job_id > waiting.job_id ORDER BY job_id LIMIT 1)
    FROM waiting
    WHERE waiting.job_id IS NOT NULL
)
SELECT job_id FROM waiting
-- This look-up is cheap, and finds nothing for most jobs that samples wait for.
WHERE (EXISTS (SELECT FROM jobs WHERE jobs.id = waiting.job_id)
       OR EXISTS (SELECT FROM jobs WHERE jobs.public_id = waiting.job_id))
  -- Samples from after the end of a job wait for a later submission of its id.
  AND EXISTS (
      SELECT FROM (
          (SELECT "timestamp" FROM waiting_samples
           WHERE waiting_samples.job_id = waiting.job_id ORDER BY "timestamp" LIMIT 1)
          UNION ALL
          (SELECT "timestamp" FROM waiting_samples
           WHERE waiting_samples.job_id = waiting.job_id ORDER BY "timestamp" DESC LIMIT 1)
      ) AS outermost
      WHERE job_of_sample(waiting.job_id, "timestamp") IS NOT NULL
  )
LIMIT %(limit)s

-- stage_waiting: stage the waiting samples of some jobs
WITH ready AS (
    DELETE FROM waiting_samples
    WHERE (job_id, "timestamp", node) IN (
        SELECT job_id, "timestamp", node FROM waiting_samples
        WHERE job_id = ANY (%(ids)s::text[]) AND job_of_sample(job_id, "timestamp") IS NOT NULL
        ORDER BY job_id, "timestamp", node
        LIMIT %(limit)s
        -- A sample that another collector has locked is being stored there.
        FOR UPDATE SKIP LOCKED
    )
    RETURNING cluster_name, reported_id, payload
), gpus AS (
    INSERT INTO staged_gpus
    SELECT gpu.* FROM ready, jsonb_populate_recordset(NULL::staged_gpus, payload -> 'gpus') AS gpu
)
INSERT INTO staged_samples
SELECT sample.*
FROM ready, jsonb_populate_record(
    NULL::staged_samples,
    payload -> 'sample'
        || jsonb_build_object('cluster_name', cluster_name, 'reported_id', reported_id)
) AS sample

-- unstage_sealed: remove the staged samples of dropped days, and return them
-- A sample and its readings are stored together or not at all, so each of the tables may exclude both.
DELETE FROM staged_samples
WHERE "timestamp" < %(samples_sealed_before)s
   OR ("timestamp" < %(gpus_sealed_before)s
       AND EXISTS (SELECT FROM staged_gpus
                   WHERE staged_gpus.job_id = staged_samples.job_id
                     AND staged_gpus."timestamp" = staged_samples."timestamp"
                     AND staged_gpus.node = staged_samples.node))
RETURNING *

-- unstage_gpus: remove the staged readings whose samples are staged no more, and return them
DELETE FROM staged_gpus
WHERE NOT EXISTS (SELECT FROM staged_samples
                  WHERE staged_samples.job_id = staged_gpus.job_id
                    AND staged_samples."timestamp" = staged_gpus."timestamp"
                    AND staged_samples.node = staged_gpus.node)
RETURNING *

-- key_waiting: give the staged samples of reused ids the keys of their jobs
UPDATE staged_samples SET job_id = job_of_sample(job_id, "timestamp")
WHERE job_id = ANY (%(ids)s::text[])

-- key_waiting_gpus: give the staged readings of reused ids the keys of their jobs
UPDATE staged_gpus SET job_id = job_of_sample(job_id, "timestamp")
WHERE job_id = ANY (%(ids)s::text[])

-- take_overdue: delete samples that have waited too long for their job, and return them
-- Those that have waited since a time in the future came while the clock was ahead: they wait from now on.
WITH from_future AS (
    UPDATE waiting_samples SET since = now()
    WHERE (job_id, "timestamp", node) IN (
        SELECT job_id, "timestamp", node FROM waiting_samples
        WHERE since > now() + interval '1 minute'
        FOR UPDATE SKIP LOCKED
    )
)
DELETE FROM waiting_samples
WHERE (job_id, "timestamp", node) IN (
    SELECT job_id, "timestamp", node FROM waiting_samples
    -- By the database's clock too: the collector's may be ahead.
    WHERE since < least(%(before)s, now() - interval '10 minutes')
      -- A job that has started by now keeps its samples: stage_waiting comes next for them.
      AND job_of_sample(job_id, "timestamp") IS NULL
    ORDER BY job_id, "timestamp", node
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING "timestamp",
          payload -> 'sample'
              || jsonb_build_object('cluster_name', cluster_name, 'reported_id', reported_id),
          payload -> 'gpus'
