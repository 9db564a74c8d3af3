-- Ends that may be those of a run whose start was not heard yet (docs/adr/0006): of each node the
-- latest, and one of the controller, whose node is ''. They go when the run after them begins.

CREATE TABLE unmatched_ends (
    job_id     text COLLATE "C" NOT NULL,
    node       text COLLATE "C" NOT NULL,
    ended_at   timestamptz NOT NULL,
    ended_by   smallint NOT NULL,                    -- domain Authority
    end_state  text NOT NULL,
    exit_code  integer,
    signal     integer,
    PRIMARY KEY (job_id, node)
);

-- It held one such end only.
ALTER TABLE jobs DROP COLUMN unmatched_end;
