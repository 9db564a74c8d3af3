-- page: read the oldest rejected samples that match, behind a place if one is given
SELECT rejected_at, id, batch_id, position, node, job_id, reason, payload, cluster_name
FROM rejected_samples
WHERE (%(job_id)s::text IS NULL OR job_id = %(job_id)s)
  AND (%(node)s::text IS NULL OR node = %(node)s)
  AND (%(reason)s::text IS NULL OR position(%(reason)s IN reason) > 0)
  AND (%(after)s::timestamptz IS NULL
       OR (rejected_at, id) > (%(after)s::timestamptz, %(after_id)s::bigint))
  AND (%(last_id)s::bigint IS NULL OR id <= %(last_id)s)
ORDER BY rejected_at, id
LIMIT %(limit)s

-- count: count the rejected samples that match
SELECT count(*)
FROM rejected_samples
WHERE (%(job_id)s::text IS NULL OR job_id = %(job_id)s)
  AND (%(node)s::text IS NULL OR node = %(node)s)
  AND (%(reason)s::text IS NULL OR position(%(reason)s IN reason) > 0)

-- last_id: read the id of the latest rejected sample
SELECT max(id) FROM rejected_samples

-- remove: delete rejected samples that are replayed
DELETE FROM rejected_samples WHERE id = ANY (%(rejected_ids)s::bigint[])
