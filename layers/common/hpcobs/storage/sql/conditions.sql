-- wrong: hold for samples that came under a wrong claim on the job (domain Discard)
-- A sealed roll-up is compared by its last moment: the caller moves the times back by its length.
job_id = %(id)s
AND ((node <> ALL (%(kept_nodes)s::text[])
      AND "timestamp" >= coalesce(%(since)s::timestamptz, '-infinity')
      AND "timestamp" < coalesce(%(until)s::timestamptz, 'infinity'))
     OR "timestamp" < %(before)s::timestamptz)

-- first_sample: return the time of a job's first sample: where its id was used before, none is earlier
CASE WHEN public_id IS NOT NULL AND EXISTS (
    SELECT FROM jobs AS earlier
    WHERE earlier.public_id IS NOT NULL AND earlier.submission_at < jobs.submission_at
      AND split_part(earlier.public_id, '@', 1) = split_part(jobs.public_id, '@', 1)
) THEN submission_at - interval '1 minute' END

-- within: hold for what is from a time, each of whose bounds may be missing
"timestamp" >= coalesce(%(since)s::timestamptz, '-infinity')
AND "timestamp" < coalesce(%(until)s::timestamptz, 'infinity')

-- metrics_sealed: hold for roll-ups whose samples are gone: they change no more by a roll-up of their hour
"timestamp" < (SELECT sealed_before FROM rollup_states WHERE samples = 'metric_samples')

-- gpus_sealed: hold for roll-ups of GPUs whose readings are gone
"timestamp" < (SELECT sealed_before FROM rollup_states WHERE samples = 'gpu_samples')

-- filtered: hold for jobs that match a list's filters, but that by node and those by time
(%(state)s::text IS NULL OR jobs.state = %(state)s)
AND (%(user)s::text IS NULL OR jobs.user_name = %(user)s)
AND (%(partition)s::text IS NULL OR jobs.partition = %(partition)s)
AND (%(account)s::text IS NULL OR jobs.account = %(account)s)
AND (%(cluster)s::text IS NULL OR jobs.cluster_name = %(cluster)s)
AND (%(prefix)s::text IS NULL OR jobs.id LIKE %(prefix)s OR jobs.name LIKE %(prefix)s
     OR jobs.user_name LIKE %(prefix)s)

-- in_round: hold for jobs behind the place where a walk through a list is, in its round (migration 0012)
-- In a database restored from a dump, the transactions of before may have higher numbers.
(%(after_time)s::timestamptz IS NULL OR (page_time, page_id) < (%(after_time)s, %(after_id)s))
AND (%(moved_since)s::bigint IS NULL
     OR (start_moved_xid >= %(moved_since)s
         AND start_moved_xid < pg_snapshot_xmax(pg_current_snapshot())::text::bigint))
