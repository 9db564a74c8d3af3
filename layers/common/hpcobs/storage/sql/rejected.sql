-- page: read the oldest rejected samples that match, behind a place if one is given
SELECT rejected_at, batch_id, position, node, job_id, reason, payload, cluster_name
FROM rejected_samples
WHERE (%(job_id)s::text IS NULL OR job_id = %(job_id)s)
  AND (%(node)s::text IS NULL OR node = %(node)s)
  AND (%(reason)s::text IS NULL OR position(%(reason)s IN reason) > 0)
  AND (%(after)s::timestamptz IS NULL
       OR (rejected_at, batch_id, position)
          > (%(after)s::timestamptz, %(after_batch)s::text, %(after_position)s::integer))
ORDER BY rejected_at, batch_id, position
LIMIT %(limit)s

-- count: count the rejected samples that match
SELECT count(*)
FROM rejected_samples
WHERE (%(job_id)s::text IS NULL OR job_id = %(job_id)s)
  AND (%(node)s::text IS NULL OR node = %(node)s)
  AND (%(reason)s::text IS NULL OR position(%(reason)s IN reason) > 0)

-- remove: delete rejected samples that were replayed
DELETE FROM rejected_samples
USING unnest(%(batch_ids)s::text[], %(positions)s::integer[]) AS replayed (batch_id, position)
WHERE rejected_samples.batch_id = replayed.batch_id AND rejected_samples.position = replayed.position
