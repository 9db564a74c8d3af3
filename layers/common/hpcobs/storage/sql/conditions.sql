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
