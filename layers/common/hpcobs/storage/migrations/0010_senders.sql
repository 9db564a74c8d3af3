-- What is rejected is known by its sender and its content. What is sealed decides when samples are stored.

-- A batch's id is the sender's: two nodes may use the same one, and a node may use it for two batches. The
-- key (batch_id, position) of rejected_samples therefore loses samples. It has to stay, because the version
-- before names it (ON CONFLICT), and runs until the deployment is done. So this version writes into a table
-- that inherits from the old one, and has a key of its own. Every other statement, of both versions, reads
-- and deletes in rejected_samples, which includes the rows of both tables. docs/adr/0030 has the reasons.
CREATE SEQUENCE rejected_sample_ids;
ALTER TABLE rejected_samples ADD COLUMN id bigint;
ALTER TABLE rejected_samples ALTER COLUMN id SET DEFAULT nextval('rejected_sample_ids');

CREATE TABLE rejected_samples_by_sender (
    digest  bytea NOT NULL                           -- SHA-256 of the payload
) INHERITS (rejected_samples);

-- The lock of ALTER TABLE lasts until the end of the migration, so that no row comes in between.
INSERT INTO rejected_samples_by_sender (
    batch_id, position, node, job_id, reason, payload, rejected_at, cluster_name, id, digest
)
SELECT batch_id, position, node, job_id, reason, payload, rejected_at, cluster_name,
       nextval('rejected_sample_ids'), sha256(convert_to(payload, 'UTF8'))
FROM (SELECT * FROM ONLY rejected_samples ORDER BY rejected_at, batch_id, position) AS earlier;
TRUNCATE ONLY rejected_samples;

CREATE INDEX rejected_samples_by_id ON rejected_samples (id);
ALTER TABLE rejected_samples_by_sender ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX rejected_samples_by_sender_key
    ON rejected_samples_by_sender (batch_id, position, node, coalesce(cluster_name, ''), digest);
CREATE INDEX rejected_samples_by_sender_by_time ON rejected_samples_by_sender (rejected_at);

-- The sender of a waiting sample, beside its node, and the job id that it reported. NULL in the rows of the
-- version before: job_id is then all that is known.
ALTER TABLE waiting_samples
    ADD COLUMN cluster_name text,
    ADD COLUMN reported_id text COLLATE "C";

-- Records that the roll-ups of some hours lack samples (ADR 0009), and creates the partitions of their days,
-- but none of a dropped day. Returns the times before which the days are dropped, NULL where none is. The
-- lock conflicts with that of drop_sample_day: until this transaction ends, no other day is dropped. The
-- read comes after the lock, in a statement of its own, so that it sees a drop that the lock waited for.
CREATE FUNCTION open_sample_hours(
    hours timestamptz[],
    OUT samples_sealed_before timestamptz, OUT gpus_sealed_before timestamptz
)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unrolled_hours (hour) SELECT unnest(hours);
    PERFORM ensure_day_partition(state.samples, days.day)
    FROM (SELECT DISTINCT (given AT TIME ZONE 'UTC')::date AS day FROM unnest(hours) AS given) AS days
    JOIN rollup_states AS state ON days.day::timestamp AT TIME ZONE 'UTC' >= state.sealed_before
    -- One order for all collectors, because creating a partition takes locks.
    ORDER BY state.samples, days.day;
    LOCK TABLE ONLY gpu_samples, ONLY metric_samples IN ROW EXCLUSIVE MODE;
    SELECT nullif(max(sealed_before) FILTER (WHERE samples = 'metric_samples'), '-infinity'),
           nullif(max(sealed_before) FILTER (WHERE samples = 'gpu_samples'), '-infinity')
    INTO samples_sealed_before, gpus_sealed_before
    FROM rollup_states;
END
$$;
