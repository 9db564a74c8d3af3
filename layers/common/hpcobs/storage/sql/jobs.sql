-- create: add a job unless its id is taken, with its nodes and its audit row
-- One statement, and so one round trip for each event (ADR 0001). columns.jobs are read by name from
-- the JSON of the job.
WITH created AS (
    INSERT INTO jobs (id, {{columns.jobs}})
    SELECT id, {{columns.jobs}}
    FROM jsonb_populate_record(NULL::jobs, %(job)s) AS given
    -- The key may be free, and the id be that of a later submission of a job that was deleted.
    WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.public_id = coalesce(given.public_id, given.id))
    ON CONFLICT DO NOTHING
    RETURNING id, start_time, nodes, node_count, cpus_per_node
), noted AS (
    INSERT INTO job_audit_events (
        job_id, change_type, changed_by, source, correlation_id, job_snapshot
    )
    SELECT id, %(change_type)s, %(changed_by)s, %(source)s, %(correlation_id)s, %(job)s
    FROM created
), placed AS (
    INSERT INTO job_nodes (job_id, node, start_time, allocated_cpus)
    SELECT created.id, node, created.start_time, cpus
    FROM created, unnest(
        string_to_array(nodes, ','),
        -- The CPUs are known for each node, or for none: a list of another length is of other nodes.
        CASE WHEN cardinality(cpus_per_node) = node_count THEN cpus_per_node END
    ) AS its (node, cpus)
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM created

-- get: read one job by id
-- Where Slurm has used an id again, the job's key is another one (migration 0007).
SELECT * FROM jobs
WHERE id = coalesce((SELECT id FROM jobs WHERE public_id = %(id)s), %(id)s)
  AND coalesce(public_id, id) = %(id)s

-- lock: read one job by id, and lock it against other writers until the transaction ends
SELECT * FROM jobs
WHERE id = coalesce((SELECT id FROM jobs WHERE public_id = %(id)s), %(id)s)
  AND coalesce(public_id, id) = %(id)s
FOR UPDATE

-- lock_submissions: lock all submissions of an id, and read them, the latest first
WITH locked AS (
    SELECT * FROM jobs
    WHERE id = ANY (ARRAY(
        SELECT %(id)s
        UNION
        SELECT id FROM jobs WHERE public_id IS NOT NULL AND split_part(public_id, '@', 1) = %(id)s
    ))
    -- The order in which all writers lock several jobs.
    ORDER BY id
    FOR UPDATE
)
SELECT * FROM locked ORDER BY submission_at DESC

-- save: write a locked job, with its nodes and its audit row
WITH saved AS (
    UPDATE jobs
    SET ({{columns.jobs}}, updated_at) = (
        SELECT {{columns.jobs}}, now() FROM jsonb_populate_record(NULL::jobs, %(job)s)
    )
    WHERE id = %(id)s
    RETURNING *
), noted AS (
    INSERT INTO job_audit_events (
        job_id, change_type, changed_by, source, correlation_id, job_snapshot
    )
    SELECT id, %(change_type)s, %(changed_by)s, %(source)s, %(correlation_id)s,
           jsonb_strip_nulls(to_jsonb(saved))
    FROM saved
)
INSERT INTO job_nodes AS placed (job_id, node, start_time, allocated_cpus)
SELECT saved.id, node, saved.start_time, cpus
FROM saved, unnest(
    string_to_array(nodes, ','),
    -- The CPUs are known for each node, or for none: a list of another length is of other nodes.
    CASE WHEN cardinality(cpus_per_node) = node_count THEN cpus_per_node END
) AS its (node, cpus)
ON CONFLICT (job_id, node) DO UPDATE
SET start_time = excluded.start_time, allocated_cpus = excluded.allocated_cpus
WHERE (placed.start_time, placed.allocated_cpus)
      IS DISTINCT FROM (excluded.start_time, excluded.allocated_cpus)

-- reset_nodes: remove the ends and readings of the job's nodes from before its current run
WITH run AS (
    SELECT id, string_to_array(nodes, ',') AS nodes, statistics_since, restart_count
    FROM jobs WHERE id = %(id)s
), matched AS (
    DELETE FROM unmatched_ends USING run WHERE job_id = run.id AND ended_at < run.statistics_since
), confirmed AS (
    DELETE FROM unmatched_starts USING run
    WHERE job_id = run.id AND unmatched_starts.restart_count <= run.restart_count
), gone AS (
    DELETE FROM job_nodes USING run WHERE job_id = run.id AND node <> ALL (run.nodes)
), unread AS (
    DELETE FROM job_gpus USING run WHERE job_id = run.id AND sampled_at < run.statistics_since
)
UPDATE job_nodes
SET ended_at = NULL, end_state = NULL, end_exit_code = NULL, end_signal = NULL
FROM run
WHERE job_id = run.id AND node = ANY (run.nodes) AND ended_at < run.statistics_since

-- clear_node_ends: remove the ends of the nodes of a job that has not ended
UPDATE job_nodes
SET ended_at = NULL, end_state = NULL, end_exit_code = NULL, end_signal = NULL
WHERE job_id = %(id)s AND ended_at IS NOT NULL

-- record_seen: store when the scheduler last saw a job
-- No column of an index changes, so the update is HOT: it writes no index.
UPDATE jobs SET scheduler_seen_at = %(seen_at)s WHERE id = %(id)s

-- place_usage: store the reported usage of a whole job on each of its nodes, until their samples replace it
UPDATE job_nodes
SET cpu_usage = coalesce(%(cpu_usage)s::float8, job_nodes.cpu_usage),
    memory_usage_mb = coalesce(
        %(memory_usage_mb)s::bigint / greatest(node_count, 1), job_nodes.memory_usage_mb
    ),
    gpu_usage = coalesce(%(gpu_usage)s::float8, job_nodes.gpu_usage)
FROM jobs
WHERE jobs.id = %(id)s AND job_id = jobs.id

-- node_ends: read the ends of the job's nodes in its current run
SELECT node, ended_at, %(by)s::int, end_state, end_exit_code, end_signal
FROM job_nodes
WHERE job_id = %(id)s AND ended_at IS NOT NULL
ORDER BY node

-- record_node_end: store how one node of a job ended
INSERT INTO job_nodes (job_id, node, start_time, ended_at, end_state, end_exit_code, end_signal)
SELECT id, %(node)s, start_time, %(ended_at)s, %(state)s, %(exit_code)s, %(signal)s
FROM jobs WHERE id = %(id)s
ON CONFLICT (job_id, node) DO UPDATE
SET ended_at = excluded.ended_at, end_state = excluded.end_state,
    end_exit_code = excluded.end_exit_code, end_signal = excluded.end_signal

-- unmatched_ends: read the ends that may belong to a run of the job whose start is not reported yet
SELECT nullif(node, ''), ended_at, ended_by, end_state, exit_code, signal
FROM unmatched_ends
WHERE job_id = %(id)s
ORDER BY node

-- keep_unmatched: store such an end, if it has the highest precedence and latest time of its sender
-- A node is one sender, the controller another.
INSERT INTO unmatched_ends AS kept (job_id, node, ended_at, ended_by, end_state, exit_code, signal)
VALUES (%(id)s, %(node)s, %(ended_at)s, %(by)s, %(state)s, %(exit_code)s, %(signal)s)
ON CONFLICT (job_id, node) DO UPDATE
SET ended_at = excluded.ended_at, ended_by = excluded.ended_by, end_state = excluded.end_state,
    exit_code = excluded.exit_code, signal = excluded.signal
WHERE (kept.ended_by, kept.ended_at) < (excluded.ended_by, excluded.ended_at)

-- unmatched_starts: read the starts of the job that a source of higher precedence has to confirm
SELECT job FROM unmatched_starts WHERE job_id = %(id)s ORDER BY start_time, node LIMIT %(most)s

-- hold_start: store such a start, unless the same sender has reported a later one; of too many the earliest goes
WITH kept AS (
    SELECT node, start_time FROM unmatched_starts WHERE job_id = %(id)s AND node <> %(node)s
    -- The controller's own start is kept before those of nodes.
    ORDER BY node <> '', start_time DESC, node LIMIT %(most)s
), surplus AS (
    DELETE FROM unmatched_starts
    WHERE job_id = %(id)s AND node <> %(node)s
      AND (SELECT count(*) FROM kept) = %(most)s
      AND node NOT IN (SELECT node FROM kept ORDER BY node <> '', start_time DESC, node LIMIT %(most)s - 1)
)
INSERT INTO unmatched_starts AS held (job_id, node, restart_count, start_time, job)
SELECT %(id)s, %(node)s, restart_count, start_time, %(job)s
FROM jsonb_populate_record(NULL::jobs, %(job)s)
ON CONFLICT (job_id, node) DO UPDATE
SET restart_count = excluded.restart_count, start_time = excluded.start_time, job = excluded.job
WHERE held.start_time < excluded.start_time

-- release_starts: delete the starts of a job whose submission was reported
DELETE FROM unmatched_starts WHERE job_id = %(id)s
