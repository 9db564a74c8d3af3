-- Jobs, their nodes and GPUs, and the audit trail.
--
-- Names compare as bytes (COLLATE "C"), whatever the database's language: an index then also answers
-- searches by prefix, and order is the same everywhere.


-- A mean, NULL of nothing. PostgreSQL's division raises an error for what is too small to be told from 0.
CREATE FUNCTION mean_of(total double precision, measured numeric) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN total < 1e-250 THEN 0 ELSE total END / nullif(measured, 0)::float8
$$;

CREATE TABLE jobs (
    id                   text COLLATE "C" PRIMARY KEY,
    user_name            text COLLATE "C" NOT NULL,
    nodes                text NOT NULL,              -- comma-separated; job_nodes answers by node
    node_count           integer NOT NULL,
    state                text NOT NULL
                         CHECK (state IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    start_time           timestamptz NOT NULL,
    end_time             timestamptz,
    runtime_seconds      double precision,           -- set at the end; computed while running
    cpu_usage            double precision,
    memory_usage_mb      bigint,
    gpu_usage            double precision,
    external_job_id      text,
    scheduler_type       text CHECK (scheduler_type IN ('mock', 'slurm')),
    raw_state            text,
    partition            text,
    account              text,
    qos                  text,
    priority             bigint,
    submit_time          timestamptz,
    exit_code            integer,
    signal               integer,
    state_reason         text,
    time_limit_minutes   integer,
    extra                jsonb,
    requested_cpus       bigint,
    allocated_cpus       bigint,
    requested_memory_mb  bigint,
    allocated_memory_mb  bigint,
    requested_gpus       bigint,
    allocated_gpus       bigint,
    gpu_vendor           text,
    gpu_devices          text[] NOT NULL DEFAULT '{}',
    cpus_per_node        integer[] NOT NULL DEFAULT '{}',   -- in the order of nodes, if it is known
    cgroup_path          text,
    cluster_name         text,
    scheduler_instance   text,
    ingest_version       text,
    name                 text COLLATE "C",
    array_job_id         text,
    array_task_id        text,
    restart_count        integer NOT NULL DEFAULT 0,
    last_sample_at       timestamptz,
    sample_count         bigint NOT NULL DEFAULT 0,
    avg_cpu_usage        double precision,
    max_cpu_usage        double precision,
    max_memory_usage_mb  bigint,
    avg_gpu_usage        double precision,
    max_gpu_usage        double precision,
    start_estimated      boolean NOT NULL DEFAULT false,  -- no start was heard yet
    statistics_since     timestamptz,                     -- where the current run's statistics begin
    ended_by             smallint,                        -- domain Authority: whose word the end is
    unmatched_end        jsonb,                           -- an end that may be a next run's
    scheduler_seen_at    timestamptz,                     -- how old the controller's view is
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);                                 -- room for HOT updates of the statistics

-- Every page is newest first, and every filter is the leading column of an index in that order.
CREATE INDEX jobs_by_start ON jobs (start_time DESC, id DESC);
CREATE INDEX jobs_by_state ON jobs (state, start_time DESC, id DESC);
CREATE INDEX jobs_by_user ON jobs (user_name, start_time DESC, id DESC);
CREATE INDEX jobs_by_partition ON jobs (partition, start_time DESC, id DESC);
CREATE INDEX jobs_by_account ON jobs (account, start_time DESC, id DESC);
CREATE INDEX jobs_by_cluster ON jobs (cluster_name, start_time DESC, id DESC);
CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running';
CREATE INDEX jobs_by_name ON jobs (name, start_time DESC, id DESC);

-- One row per job and node: the answer to "jobs of a node", the latest sample for the scrape, and the
-- sums from which a job's statistics are made. A node's end is kept until the job has ended.
CREATE TABLE job_nodes (
    job_id               text COLLATE "C" NOT NULL,
    node                 text COLLATE "C" NOT NULL,
    start_time           timestamptz NOT NULL,
    allocated_cpus       integer,                    -- the node's weight among the job's nodes
    ended_at             timestamptz,
    end_state            text,
    end_exit_code        integer,
    end_signal           integer,
    last_sample_at       timestamptz,
    cpu_usage            double precision,
    memory_usage_mb      bigint,
    gpu_usage            double precision,
    sample_count         bigint NOT NULL DEFAULT 0,
    cpu_usage_sum        double precision NOT NULL DEFAULT 0,
    cpu_usage_max        double precision,
    memory_usage_mb_max  bigint,
    gpu_sample_count     bigint NOT NULL DEFAULT 0,
    gpu_usage_sum        double precision NOT NULL DEFAULT 0,
    gpu_usage_max        double precision,
    PRIMARY KEY (job_id, node)
) WITH (fillfactor = 70);
CREATE INDEX job_nodes_by_node ON job_nodes (node, start_time DESC, job_id DESC);

-- The latest reading of each GPU of a job, for the scrape.
CREATE TABLE job_gpus (
    job_id               text COLLATE "C" NOT NULL,
    node                 text COLLATE "C" NOT NULL,
    gpu_id               text COLLATE "C" NOT NULL,
    gpu_vendor           text NOT NULL,
    sampled_at           timestamptz NOT NULL,
    utilization_percent  double precision,
    memory_used_mb       bigint,
    memory_total_mb      bigint,
    power_watts          double precision,
    temperature_celsius  double precision,
    PRIMARY KEY (job_id, node, gpu_id)
) WITH (fillfactor = 70);

CREATE TABLE job_audit_events (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id          text COLLATE "C" NOT NULL,       -- no foreign key: the trail outlives its job
    change_type     text NOT NULL CHECK (change_type IN ('upsert', 'update', 'delete', 'correction')),
    changed_at      timestamptz NOT NULL DEFAULT now(),
    changed_by      text NOT NULL,
    source          text NOT NULL,
    correlation_id  text NOT NULL,
    job_snapshot    jsonb NOT NULL
);
CREATE INDEX job_audit_events_by_job ON job_audit_events (job_id, id);

CREATE TABLE nodes (
    name             text COLLATE "C" PRIMARY KEY,
    cluster_name     text,
    state            text,
    cpus             integer,
    memory_total_mb  bigint,
    memory_used_mb   bigint,
    cpu_load         double precision,
    gpus             integer,
    last_seen        timestamptz,                    -- the node's own last word
    state_seen_at    timestamptz,                    -- the controller's last word
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
