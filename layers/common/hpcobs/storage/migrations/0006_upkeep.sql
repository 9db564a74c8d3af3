-- Tables that stay small beside what they have to hold.

-- Of many millions of rows a fifth, which may be dead before PostgreSQL tidies up, is too much: these
-- tables are changed all the time.
ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE job_nodes SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE job_gpus SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE job_audit_events SET (autovacuum_vacuum_scale_factor = 0.02);

-- Finds messages that were received too often, which hardly any are, without a look at all that wait.
CREATE INDEX sample_queue_worn_out ON sample_queue (visible_at) WHERE receive_count >= 100;
