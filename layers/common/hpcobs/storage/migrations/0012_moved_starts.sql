-- A walk through the pages of GET /v1/jobs goes by start, newest first. A job whose start moves ahead
-- meanwhile (it leaves the queue, or is requeued) would pass the walk by. So the walk ends with the jobs
-- whose start has moved since it began.

-- start_moved_xid is the transaction that moved the start ahead, NULL if none did. Not a time: a
-- transaction may commit long after its time, but never before a snapshot that does not see it.
ALTER TABLE jobs ADD COLUMN start_moved_xid bigint;
CREATE INDEX jobs_by_moved_start ON jobs (start_moved_xid) WHERE start_moved_xid IS NOT NULL;

CREATE FUNCTION note_moved_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.start_moved_xid := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END
$$;

-- A trigger, so that each statement that writes a start does so, also one of the version before.
CREATE TRIGGER jobs_start_moved BEFORE UPDATE OF start_time ON jobs
FOR EACH ROW WHEN (NEW.start_time > OLD.start_time) EXECUTE FUNCTION note_moved_start();
