-- A job is one submission of its id, and a run knows its source (docs/adr/0006, docs/adr/0025).

-- submission_at and public_id are set only where Slurm has used an id again. The key (id) of the first
-- submission stays, a later one has another key, because samples and trail refer to keys. The latest
-- submission has the plain id as its public_id, an earlier one "<id>@<time of its submission>".
ALTER TABLE jobs
    ADD COLUMN public_id text COLLATE "C",
    ADD COLUMN submission_at timestamptz,
    ADD COLUMN run_by smallint,                              -- domain Precedence: who reported the run
    ADD COLUMN suspended_seconds double precision NOT NULL DEFAULT 0,
    ADD COLUMN suspended_since timestamptz;
CREATE UNIQUE INDEX jobs_by_public_id ON jobs (public_id) WHERE public_id IS NOT NULL;
CREATE INDEX jobs_of_reused_id ON jobs (split_part(public_id, '@', 1)) WHERE public_id IS NOT NULL;

-- Starts that a source of higher precedence has to confirm: of each node the latest, and one of the
-- controller's hook, whose node is ''. They are used, or deleted, when their run is reported.
CREATE TABLE unmatched_starts (
    job_id         text COLLATE "C" NOT NULL,
    node           text COLLATE "C" NOT NULL,
    restart_count  integer NOT NULL,
    start_time     timestamptz NOT NULL,
    job            jsonb NOT NULL,                   -- the job as the start describes it
    PRIMARY KEY (job_id, node)
);

-- Returns the key of the job that a sample counts for, or NULL if none is known. A sample counts for the
-- latest submission from before it, or for one from up to a minute after it, if the one before has ended:
-- clocks differ. No sample comes later than ten minutes after the end of its job.
CREATE FUNCTION job_of_sample(reported_id text, taken_at timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    WITH submissions AS (
        SELECT id, coalesce(submission_at, '-infinity') AS since, end_time,
               lead(id) OVER later AS next_id, lead(submission_at) OVER later AS next_since
        FROM jobs
        WHERE id = ANY (ARRAY(
            SELECT reported_id
            UNION
            SELECT id FROM jobs
            WHERE public_id IS NOT NULL AND split_part(public_id, '@', 1) = reported_id
        ))
        WINDOW later AS (ORDER BY submission_at)
    ), chosen AS (
        SELECT * FROM submissions
        WHERE since <= taken_at OR NOT EXISTS (SELECT FROM submissions WHERE since <= taken_at)
        ORDER BY CASE WHEN since <= taken_at THEN since END DESC NULLS LAST, since
        LIMIT 1
    )
    SELECT CASE
        WHEN end_time < taken_at AND next_since - interval '1 minute' <= taken_at THEN next_id
        WHEN end_time + interval '10 minutes' < taken_at THEN NULL
        ELSE id
    END
    FROM chosen
$$;
