-- Tables that stay small and quick beside all that they have to hold.

-- The collector changes all rows of a page at once, for jobs that run lie side by side. Only where there is
-- room for one more of each row do the new ones stay on their page, and no index has to follow them.
ALTER TABLE jobs SET (fillfactor = 45);
ALTER TABLE job_nodes SET (fillfactor = 40);
ALTER TABLE job_gpus SET (fillfactor = 45);
ALTER TABLE nodes SET (fillfactor = 45);

-- Of many millions of rows a fifth, which may be dead before PostgreSQL tidies up, is too much: these
-- tables are changed all the time.
ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE job_nodes SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE job_gpus SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE job_audit_events SET (autovacuum_vacuum_scale_factor = 0.02);

-- Finds messages that were received too often, which hardly any are, without a look at all that wait.
CREATE INDEX sample_queue_worn_out ON sample_queue (visible_at) WHERE receive_count >= 100;

-- As mean_of of 0001, of numbers up to 2^53: many times quicker than numeric.
CREATE FUNCTION mean_of(total double precision, measured double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN total < 1e-250 THEN 0 ELSE total END / nullif(measured, 0)
$$;
