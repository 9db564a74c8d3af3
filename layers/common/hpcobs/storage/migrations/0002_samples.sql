-- Samples, partitioned by day (UTC). Their one key makes every sample count once.

CREATE TABLE metric_samples (
    id                           bigint GENERATED ALWAYS AS IDENTITY (CACHE 1000),
    job_id                       text COLLATE "C" NOT NULL,      -- no foreign key: see ADR 0003
    "timestamp"                  timestamptz NOT NULL,
    node                         text COLLATE "C" NOT NULL,
    cpu_usage                    double precision NOT NULL,
    memory_usage_mb              bigint NOT NULL,
    gpu_usage                    double precision,
    memory_peak_mb               bigint,
    oom_kills                    bigint,
    cpu_seconds_total            double precision,
    cpu_throttled_seconds_total  double precision,
    io_read_bytes_total          bigint,
    io_write_bytes_total         bigint
) PARTITION BY RANGE ("timestamp");
CREATE UNIQUE INDEX metric_samples_key ON metric_samples (job_id, "timestamp", node);
-- Finds an hour of a day, for its roll-ups, and costs next to nothing: samples come by time.
CREATE INDEX metric_samples_by_time ON metric_samples
    USING brin ("timestamp" timestamptz_minmax_multi_ops) WITH (autosummarize = on);

CREATE TABLE gpu_samples (
    job_id               text COLLATE "C" NOT NULL,
    "timestamp"          timestamptz NOT NULL,
    node                 text COLLATE "C" NOT NULL,
    gpu_id               text COLLATE "C" NOT NULL,
    gpu_vendor           text NOT NULL,
    utilization_percent  double precision,
    memory_used_mb       bigint,
    memory_total_mb      bigint,
    power_watts          double precision,
    temperature_celsius  double precision
) PARTITION BY RANGE ("timestamp");
CREATE UNIQUE INDEX gpu_samples_key ON gpu_samples (job_id, "timestamp", node, gpu_id);
CREATE INDEX gpu_samples_by_time ON gpu_samples
    USING brin ("timestamp" timestamptz_minmax_multi_ops) WITH (autosummarize = on);

-- Makes a table's partition for the days from "first" to before "after", unless it is there; it is
-- named after the first. The advisory lock keeps two callers apart; ATTACH, unlike CREATE … PARTITION
-- OF, does not shut readers and writers out.
CREATE FUNCTION ensure_partition(parent text, first date, after date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := parent || '_' || to_char(first, 'YYYYMMDD');
BEGIN
    IF to_regclass(quote_ident(partition_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('hpcobs partitions'));
    -- A look into the table, because to_regclass may remember that there was no such partition.
    IF EXISTS (SELECT FROM pg_class
               WHERE relname = partition_name AND relnamespace = current_schema()::regnamespace) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)',
                   partition_name, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   parent, partition_name,
                   first::text || ' 00:00:00+00', after::text || ' 00:00:00+00');
    RETURN true;
END
$$;

-- Makes a day's partition of a table unless it is there.
CREATE FUNCTION ensure_day_partition(parent text, day date) RETURNS boolean
LANGUAGE sql AS $$
    SELECT ensure_partition(parent, day, day + 1)
$$;

-- Drops the partition that begins with a day; unlike DELETE it costs the same however much is in it.
CREATE FUNCTION drop_partition(parent text, first date) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I', parent || '_' || to_char(first, 'YYYYMMDD'));
    RETURN true;
END
$$;

-- Samples that cannot be stored: bad ones with their reason, for an operator to see and replay.
CREATE TABLE rejected_samples (
    batch_id     text NOT NULL,
    position     integer NOT NULL,                   -- the sample's place in its batch
    node         text COLLATE "C" NOT NULL,
    job_id       text COLLATE "C",
    reason       text NOT NULL,
    payload      text NOT NULL,                      -- the sample as it came, or as it would come
    rejected_at  timestamptz NOT NULL DEFAULT now(),
    cluster_name text,                               -- whose id job_id is; NULL: as jobs are kept here
    PRIMARY KEY (batch_id, position)
);
CREATE INDEX rejected_samples_by_time ON rejected_samples (rejected_at);

-- Samples whose job is not known yet: they wait a bounded time for its start.
CREATE TABLE waiting_samples (
    job_id       text COLLATE "C" NOT NULL,
    "timestamp"  timestamptz NOT NULL,
    node         text COLLATE "C" NOT NULL,
    batch_id     text NOT NULL,
    position     integer NOT NULL,
    payload      jsonb NOT NULL,                     -- the sample, its GPUs included
    since        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, "timestamp", node)
);
CREATE INDEX waiting_samples_by_age ON waiting_samples (since);

-- The queue for sites without SQS. A message is hidden until visible_at, and gone when deleted.
CREATE TABLE sample_queue (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body           bytea NOT NULL,
    sent_at        timestamptz NOT NULL DEFAULT now(),
    visible_at     timestamptz NOT NULL DEFAULT now(),
    receive_count  integer NOT NULL DEFAULT 0,
    receipt        uuid
);
CREATE INDEX sample_queue_visible ON sample_queue (visible_at, id);

CREATE TABLE sample_queue_dead (
    id             bigint PRIMARY KEY,
    body           bytea NOT NULL,
    sent_at        timestamptz NOT NULL,
    receive_count  integer NOT NULL,
    reason         text NOT NULL,
    died_at        timestamptz NOT NULL DEFAULT now()
);
