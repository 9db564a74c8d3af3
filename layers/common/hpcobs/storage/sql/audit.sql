-- of_job: read a job's latest changes, oldest first
SELECT * FROM (
    SELECT id, job_id, change_type, changed_at, changed_by, source, correlation_id, job_snapshot
    FROM job_audit_events
    WHERE job_id = %(job_id)s
    ORDER BY id DESC
    LIMIT %(limit)s
) AS latest
ORDER BY id
