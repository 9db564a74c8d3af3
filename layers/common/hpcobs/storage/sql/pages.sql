-- page: read a page of jobs newest first, and their total
-- Counters give the total where they suffice. Otherwise the count stops at 10,001.
-- NOT MATERIALIZED: the count and the page each read as little as they need, by an index.
WITH matching AS NOT MATERIALIZED (
    SELECT jobs.*, jobs.start_time AS page_time, jobs.id AS page_id
    FROM jobs
    WHERE (%(state)s::text IS NULL OR jobs.state = %(state)s)
      AND (%(user)s::text IS NULL OR jobs.user_name = %(user)s)
      AND (%(partition)s::text IS NULL OR jobs.partition = %(partition)s)
      AND (%(account)s::text IS NULL OR jobs.account = %(account)s)
      AND (%(cluster)s::text IS NULL OR jobs.cluster_name = %(cluster)s)
      AND (%(started_after)s::timestamptz IS NULL OR jobs.start_time > %(started_after)s)
      AND (%(started_before)s::timestamptz IS NULL OR jobs.start_time < %(started_before)s)
      AND (%(prefix)s::text IS NULL OR jobs.id LIKE %(prefix)s OR jobs.name LIKE %(prefix)s
           OR jobs.user_name LIKE %(prefix)s)
), counted AS (
    SELECT CASE
        WHEN %(counters)s::text[] IS NOT NULL THEN (
            SELECT coalesce(sum(value), 0)::bigint
            FROM counter_values WHERE name = ANY (%(counters)s::text[])
        )
        ELSE (SELECT count(*) FROM (SELECT FROM matching LIMIT 10001) AS capped)
    END AS total
), page AS (
    SELECT * FROM matching
    WHERE (%(after_time)s::timestamptz IS NULL
           OR (page_time, page_id) < (%(after_time)s, %(after_id)s))
      AND (%(moved_since)s::bigint IS NULL OR start_moved_xid >= %(moved_since)s
           -- In a database restored from a dump, the transactions of before may have higher numbers.
           AND start_moved_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
    ORDER BY page_time DESC, page_id DESC
    LIMIT %(limit)s OFFSET %(offset)s
)
SELECT counted.total, page.*,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS read_at,
       -- Whether a start has moved since the walk began, or this round of it (migration 0012).
       %(began)s::bigint IS NOT NULL AND EXISTS (
           SELECT FROM matching
           WHERE start_moved_xid >= %(began)s
             AND start_moved_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
       ) AS moved
FROM counted LEFT JOIN page ON true
ORDER BY page_time DESC, page_id DESC

-- page_of_node: read the same for the jobs of one node, by the node's index
WITH matching AS NOT MATERIALIZED (
    SELECT jobs.*, job_nodes.start_time AS page_time, job_nodes.job_id AS page_id
    FROM job_nodes JOIN jobs ON jobs.id = job_nodes.job_id
    WHERE (%(state)s::text IS NULL OR jobs.state = %(state)s)
      AND (%(user)s::text IS NULL OR jobs.user_name = %(user)s)
      AND (%(partition)s::text IS NULL OR jobs.partition = %(partition)s)
      AND (%(account)s::text IS NULL OR jobs.account = %(account)s)
      AND (%(cluster)s::text IS NULL OR jobs.cluster_name = %(cluster)s)
      AND job_nodes.node = %(node)s
      AND (%(started_after)s::timestamptz IS NULL OR job_nodes.start_time > %(started_after)s)
      AND (%(started_before)s::timestamptz IS NULL OR job_nodes.start_time < %(started_before)s)
      AND (%(prefix)s::text IS NULL OR jobs.id LIKE %(prefix)s OR jobs.name LIKE %(prefix)s
           OR jobs.user_name LIKE %(prefix)s)
), counted AS (
    SELECT CASE
        -- Without another filter job_nodes suffices, and no job has to be read for the count.
        WHEN %(by_node_only)s THEN (
            SELECT count(*)
            FROM (SELECT FROM job_nodes
                  WHERE node = %(node)s
                    AND (%(started_after)s::timestamptz IS NULL OR start_time > %(started_after)s)
                    AND (%(started_before)s::timestamptz IS NULL OR start_time < %(started_before)s)
                  LIMIT 10001) AS capped
        )
        ELSE (SELECT count(*) FROM (SELECT FROM matching LIMIT 10001) AS capped)
    END AS total
), page AS (
    SELECT * FROM matching
    WHERE (%(after_time)s::timestamptz IS NULL
           OR (page_time, page_id) < (%(after_time)s, %(after_id)s))
      AND (%(moved_since)s::bigint IS NULL OR start_moved_xid >= %(moved_since)s
           -- In a database restored from a dump, the transactions of before may have higher numbers.
           AND start_moved_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
    ORDER BY page_time DESC, page_id DESC
    LIMIT %(limit)s OFFSET %(offset)s
)
SELECT counted.total, page.*,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS read_at,
       -- Whether a start has moved since the walk began, or this round of it (migration 0012).
       %(began)s::bigint IS NOT NULL AND EXISTS (
           SELECT FROM matching
           WHERE start_moved_xid >= %(began)s
             AND start_moved_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint
       ) AS moved
FROM counted LEFT JOIN page ON true
ORDER BY page_time DESC, page_id DESC
