-- page: read a page of jobs newest first, and their total
-- Counters give the total where they suffice. Otherwise the count stops at 10,001.
-- NOT MATERIALIZED: the count and the page each read as little as they need, by an index.
WITH matching AS NOT MATERIALIZED (
    SELECT jobs.*, jobs.start_time AS page_time, jobs.id AS page_id
    FROM jobs
    WHERE {{conditions.filtered}}
      AND (%(started_after)s::timestamptz IS NULL OR jobs.start_time > %(started_after)s)
      AND (%(started_before)s::timestamptz IS NULL OR jobs.start_time < %(started_before)s)
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
    WHERE {{conditions.in_round}}
    ORDER BY page_time DESC, page_id DESC
    LIMIT %(limit)s OFFSET %(offset)s
)
SELECT counted.total, page.*,
       {{columns.of_walk}}
FROM counted LEFT JOIN page ON true
ORDER BY page_time DESC, page_id DESC

-- page_of_node: read the same for the jobs of one node, by the node's index
WITH matching AS NOT MATERIALIZED (
    SELECT jobs.*, job_nodes.start_time AS page_time, job_nodes.job_id AS page_id
    FROM job_nodes JOIN jobs ON jobs.id = job_nodes.job_id
    WHERE {{conditions.filtered}}
      AND job_nodes.node = %(node)s
      AND (%(started_after)s::timestamptz IS NULL OR job_nodes.start_time > %(started_after)s)
      AND (%(started_before)s::timestamptz IS NULL OR job_nodes.start_time < %(started_before)s)
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
    WHERE {{conditions.in_round}}
    ORDER BY page_time DESC, page_id DESC
    LIMIT %(limit)s OFFSET %(offset)s
)
SELECT counted.total, page.*,
       {{columns.of_walk}}
FROM counted LEFT JOIN page ON true
ORDER BY page_time DESC, page_id DESC
