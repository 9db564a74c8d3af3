-- latest: read the time of the latest sample of each node of some jobs, within the current run
SELECT job_id, node, last_sample_at
FROM job_nodes
WHERE job_id = ANY (%(ids)s::text[]) AND last_sample_at IS NOT NULL

-- append_samples: append samples that are certainly new
COPY metric_samples ({{columns.samples}}) FROM STDIN (FORMAT binary)

-- append_gpus: append GPU readings that are certainly new
COPY gpu_samples ({{columns.gpu_samples}}) FROM STDIN (FORMAT binary)

-- stage_sums: stage what is to be added to the statistics of the jobs' nodes
COPY staged_sums FROM STDIN (FORMAT binary)
