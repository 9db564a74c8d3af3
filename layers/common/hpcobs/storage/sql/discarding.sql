-- discard: remove samples that came under a wrong claim on the job, and note their hours for the roll-ups
-- Both notes are needed: the first makes the roll-up delete the job's part, the second sum it up again.
WITH wrong AS (
    DELETE FROM metric_samples WHERE {{conditions.wrong}} RETURNING "timestamp"
), wrong_gpus AS (
    DELETE FROM gpu_samples WHERE {{conditions.wrong}} RETURNING "timestamp"
), latest AS (
    DELETE FROM job_gpus
    WHERE (job_id, node, gpu_id) IN (
        SELECT job_id, node, gpu_id
        FROM (SELECT *, sampled_at AS "timestamp" FROM job_gpus) AS reading
        WHERE {{conditions.wrong}}
    )
), unknown AS (
    UPDATE job_nodes SET last_sample_at = NULL
    WHERE (job_id, node) IN (
        SELECT job_id, node
        FROM (SELECT *, last_sample_at AS "timestamp" FROM job_nodes) AS placed
        WHERE {{conditions.wrong}}
    )
), hours AS (
    -- A note on a sealed hour would delete roll-ups that nothing can make again.
    SELECT date_bin('1 hour', "timestamp", 'epoch') AS hour FROM wrong
    WHERE NOT {{conditions.metrics_sealed}}
    UNION
    SELECT date_bin('1 hour', "timestamp", 'epoch') FROM wrong_gpus
    WHERE NOT {{conditions.gpus_sealed}}
)
INSERT INTO unrolled_hours (hour, removed_job_id)
SELECT hour, removed FROM hours, unnest(ARRAY[%(id)s, NULL]) AS removed

-- discard_rollups: remove the sealed roll-ups of such samples; those of an hour with an edge are summed up next
WITH metrics AS (
    DELETE FROM metric_rollups
    WHERE {{conditions.metrics_sealed}}
      AND (({{conditions.wrong}})
           OR (job_id = %(id)s AND seconds = 3600 AND "timestamp" = ANY (%(edges)s::timestamptz[])))
)
DELETE FROM gpu_rollups
WHERE {{conditions.gpus_sealed}}
  AND (({{conditions.wrong}})
       OR (job_id = %(id)s AND seconds = 3600 AND "timestamp" = ANY (%(edges)s::timestamptz[])))

-- move: give the samples of a time to another submission of the job's id, and note their hours
WITH moved AS (
    UPDATE metric_samples SET job_id = %(to)s
    WHERE job_id = %(id)s AND {{conditions.within}}
    RETURNING "timestamp"
), moved_gpus AS (
    UPDATE gpu_samples SET job_id = %(to)s
    WHERE job_id = %(id)s AND {{conditions.within}}
    RETURNING "timestamp"
), latest AS (
    DELETE FROM job_gpus
    WHERE job_id = %(id)s AND (node, gpu_id) IN (
        SELECT node, gpu_id
        FROM (SELECT *, sampled_at AS "timestamp" FROM job_gpus) AS reading
        WHERE job_id = %(id)s AND {{conditions.within}}
    )
    RETURNING node, gpu_id, gpu_vendor, sampled_at, utilization_percent, memory_used_mb,
              memory_total_mb, power_watts, temperature_celsius, shared
), carried_gpus AS (
    INSERT INTO job_gpus AS known (
        job_id, node, gpu_id, gpu_vendor, sampled_at, utilization_percent, memory_used_mb,
        memory_total_mb, power_watts, temperature_celsius, shared
    )
    SELECT %(to)s, latest.* FROM latest
    ON CONFLICT (job_id, node, gpu_id) DO UPDATE
    SET gpu_vendor = excluded.gpu_vendor, sampled_at = excluded.sampled_at,
        utilization_percent = excluded.utilization_percent,
        memory_used_mb = excluded.memory_used_mb, memory_total_mb = excluded.memory_total_mb,
        power_watts = excluded.power_watts, temperature_celsius = excluded.temperature_celsius,
        shared = excluded.shared
    WHERE excluded.sampled_at > known.sampled_at
), unknown AS (
    UPDATE job_nodes SET last_sample_at = NULL
    FROM (SELECT *, last_sample_at AS "timestamp" FROM job_nodes) AS known
    WHERE job_nodes.job_id = %(id)s AND known.job_id = %(id)s AND known.node = job_nodes.node
      AND {{conditions.within}}
    RETURNING known.*
), carried AS (
    -- The samples themselves may be gone. What is known of the last ones stays.
    INSERT INTO job_nodes AS placed (
        job_id, node, start_time, last_sample_at, cpu_usage, memory_usage_mb, gpu_usage
    )
    SELECT jobs.id, unknown.node, jobs.start_time, unknown.last_sample_at, unknown.cpu_usage,
           unknown.memory_usage_mb, unknown.gpu_usage
    FROM unknown JOIN jobs ON jobs.id = %(to)s
    ON CONFLICT (job_id, node) DO UPDATE
    SET last_sample_at = excluded.last_sample_at, cpu_usage = excluded.cpu_usage,
        memory_usage_mb = excluded.memory_usage_mb, gpu_usage = excluded.gpu_usage
    WHERE placed.last_sample_at IS NULL OR excluded.last_sample_at > placed.last_sample_at
    RETURNING 1
), hours AS (
    SELECT date_bin('1 hour', "timestamp", 'epoch') AS hour FROM moved
    WHERE NOT {{conditions.metrics_sealed}}
    UNION
    SELECT date_bin('1 hour', "timestamp", 'epoch') FROM moved_gpus
    WHERE NOT {{conditions.gpus_sealed}}
), noted AS (
    INSERT INTO unrolled_hours (hour, removed_job_id)
    SELECT hour, removed FROM hours, unnest(ARRAY[%(id)s, NULL]) AS removed
)
SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM unknown)
       + (SELECT count(*) FROM carried)

-- move_rollups: give the sealed roll-ups of a time to the other submission; count those of five minutes
WITH moved AS (
    UPDATE metric_rollups SET job_id = %(to)s
    WHERE job_id = %(id)s AND {{conditions.within}} AND {{conditions.metrics_sealed}}
      AND NOT (seconds = 3600 AND "timestamp" = ANY (%(edges)s::timestamptz[]))
    RETURNING seconds
), moved_gpus AS (
    UPDATE gpu_rollups SET job_id = %(to)s
    WHERE job_id = %(id)s AND {{conditions.within}} AND {{conditions.gpus_sealed}}
      AND NOT (seconds = 3600 AND "timestamp" = ANY (%(edges)s::timestamptz[]))
), edge AS (
    -- Of both jobs: each of them may have some of an hour that is summed up again.
    DELETE FROM metric_rollups
    WHERE job_id = ANY (%(ids)s::text[]) AND seconds = 3600 AND {{conditions.metrics_sealed}}
      AND "timestamp" = ANY (%(edges)s::timestamptz[])
), gpu_edge AS (
    DELETE FROM gpu_rollups
    WHERE job_id = ANY (%(ids)s::text[]) AND seconds = 3600 AND {{conditions.gpus_sealed}}
      AND "timestamp" = ANY (%(edges)s::timestamptz[])
)
SELECT count(*) FROM moved WHERE seconds = 300

-- forget_latest: clear the latest readings of a job that are older than samples which were moved to it
WITH older AS (
    UPDATE job_nodes SET last_sample_at = NULL
    WHERE job_id = %(id)s AND (
        EXISTS (SELECT FROM metric_samples
                WHERE metric_samples.job_id = %(id)s AND metric_samples.node = job_nodes.node
                  AND "timestamp" > last_sample_at)
        OR EXISTS (SELECT FROM metric_rollups
                   WHERE metric_rollups.job_id = %(id)s AND metric_rollups.node = job_nodes.node
                     AND seconds = 300 AND "timestamp" > last_sample_at)
    )
)
DELETE FROM job_gpus
WHERE job_id = %(id)s AND (
    EXISTS (SELECT FROM gpu_samples AS newer
            WHERE newer.job_id = %(id)s AND newer.node = job_gpus.node
              AND newer.gpu_id = job_gpus.gpu_id AND "timestamp" > sampled_at)
    OR EXISTS (SELECT FROM gpu_rollups AS newer
               WHERE newer.job_id = %(id)s AND newer.node = job_gpus.node
                 AND newer.gpu_id = job_gpus.gpu_id AND seconds = 300 AND "timestamp" > sampled_at)
)

-- release: let samples since a time wait for a submission that is not reported yet, and note their hours
WITH released AS (
    DELETE FROM metric_samples WHERE job_id = %(id)s AND "timestamp" >= %(since)s
    RETURNING {{columns.samples}}
), released_gpus AS (
    DELETE FROM gpu_samples WHERE job_id = %(id)s AND "timestamp" >= %(since)s
    RETURNING "timestamp"
), latest AS (
    DELETE FROM job_gpus WHERE job_id = %(id)s AND sampled_at >= %(since)s
), unknown AS (
    UPDATE job_nodes SET last_sample_at = NULL
    WHERE job_id = %(id)s AND last_sample_at >= %(since)s
), waiting AS (
    -- Its batch is not known any more.
    INSERT INTO waiting_samples (job_id, "timestamp", node, batch_id, position, payload)
    SELECT %(reported_id)s, "timestamp", node, '', 0, jsonb_build_object(
        'sample', to_jsonb(released) || jsonb_build_object(
            'job_id', %(reported_id)s::text, 'batch_id', '', 'position', 0),
        'gpus', coalesce(readings.gpus, '[]'))
    FROM released
    -- As the statement began, so that the deletion does not matter.
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(
            to_jsonb(reading) || jsonb_build_object('job_id', %(reported_id)s::text)
        ) AS gpus
        FROM (SELECT {{columns.gpu_samples}} FROM gpu_samples) AS reading
        WHERE reading.job_id = %(id)s AND reading."timestamp" = released."timestamp"
          AND reading.node = released.node
    ) AS readings
    ON CONFLICT (job_id, "timestamp", node) DO NOTHING
), hours AS (
    SELECT date_bin('1 hour', "timestamp", 'epoch') AS hour FROM released
    WHERE NOT {{conditions.metrics_sealed}}
    UNION
    SELECT date_bin('1 hour', "timestamp", 'epoch') FROM released_gpus
    WHERE NOT {{conditions.gpus_sealed}}
), noted AS (
    INSERT INTO unrolled_hours (hour, removed_job_id)
    SELECT hour, removed FROM hours, unnest(ARRAY[%(id)s, NULL]) AS removed
)
SELECT count(*) FROM released

-- sum_edges: sum up the roll-ups of hours with an edge again, from those of five minutes
WITH metrics AS (
    INSERT INTO metric_rollups (seconds, "timestamp", job_id, node, {{columns.metric_rollups}})
    SELECT 3600, edge, job_id, node, {{columns.summed_metrics}}
    FROM unnest(%(edges)s::timestamptz[]) AS edge
    JOIN metric_rollups ON "timestamp" >= edge AND "timestamp" < edge + interval '1 hour'
    WHERE job_id = ANY (%(ids)s::text[]) AND seconds = 300 AND {{conditions.metrics_sealed}}
    GROUP BY edge, job_id, node
)
INSERT INTO gpu_rollups (
    seconds, "timestamp", job_id, node, gpu_id, gpu_vendor, {{columns.gpu_rollups}}
)
SELECT 3600, edge, job_id, node, gpu_id, gpu_vendor, {{columns.summed_gpus}}
FROM unnest(%(edges)s::timestamptz[]) AS edge
JOIN gpu_rollups ON "timestamp" >= edge AND "timestamp" < edge + interval '1 hour'
WHERE job_id = ANY (%(ids)s::text[]) AND seconds = 300 AND {{conditions.gpus_sealed}}
GROUP BY edge, job_id, node, gpu_id, gpu_vendor
