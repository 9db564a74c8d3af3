-- Counters that any number of writers add to without waiting for each other: each appends its
-- difference, and the collector folds the differences into the sums. A reader adds both.

CREATE TABLE counters (
    name   text PRIMARY KEY,
    value  double precision NOT NULL
);

CREATE TABLE counter_deltas (
    name   text NOT NULL,
    delta  double precision NOT NULL
);

CREATE FUNCTION fold_counters() RETURNS bigint
LANGUAGE sql AS $$
    WITH taken AS (
        DELETE FROM counter_deltas RETURNING name, delta
    ), summed AS (
        SELECT name, sum(delta) AS delta FROM taken GROUP BY name ORDER BY name
    ), written AS (
        INSERT INTO counters AS c (name, value)
        SELECT name, delta FROM summed
        ON CONFLICT (name) DO UPDATE SET value = c.value + excluded.value
        RETURNING 1
    )
    SELECT count(*) FROM written
$$;

CREATE VIEW counter_values AS
    SELECT name, sum(value) AS value
    FROM (SELECT name, value FROM counters
          UNION ALL
          SELECT name, delta FROM counter_deltas) AS both_parts
    GROUP BY name;

-- Jobs ever created, and jobs in each state: counted by a trigger, so that no statement can forget,
-- and a scrape need not count ten million finished jobs.
CREATE FUNCTION count_job() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO counter_deltas VALUES ('jobs_created', 1), ('jobs_in_state:' || NEW.state, 1);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO counter_deltas VALUES ('jobs_in_state:' || OLD.state, -1);
    ELSE
        INSERT INTO counter_deltas
        VALUES ('jobs_in_state:' || OLD.state, -1), ('jobs_in_state:' || NEW.state, 1);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER jobs_counted AFTER INSERT OR DELETE ON jobs
    FOR EACH ROW EXECUTE FUNCTION count_job();
CREATE TRIGGER jobs_recounted AFTER UPDATE OF state ON jobs
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION count_job();

-- storage_operation_duration_seconds: each environment's differences, and their sums. Element i of
-- "observations" is the count in the i-th bucket of hpcobs.storage.timings.
CREATE TABLE operation_timings (
    operation     text PRIMARY KEY,
    observations  bigint[] NOT NULL,
    seconds       double precision NOT NULL
);

CREATE TABLE operation_timing_deltas (
    operation     text NOT NULL,
    observations  bigint[] NOT NULL,
    seconds       double precision NOT NULL
);

CREATE FUNCTION add_arrays(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY i)
    FROM unnest(a, b) WITH ORDINALITY AS both_arrays (x, y, i)
$$;

CREATE AGGREGATE sum_arrays(bigint[]) (SFUNC = add_arrays, STYPE = bigint[], INITCOND = '{}');

CREATE FUNCTION fold_operation_timings() RETURNS bigint
LANGUAGE sql AS $$
    WITH taken AS (
        DELETE FROM operation_timing_deltas RETURNING operation, observations, seconds
    ), summed AS (
        SELECT operation, sum_arrays(observations) AS observations, sum(seconds) AS seconds
        FROM taken GROUP BY operation ORDER BY operation
    ), written AS (
        INSERT INTO operation_timings AS t (operation, observations, seconds)
        SELECT operation, observations, seconds FROM summed
        ON CONFLICT (operation) DO UPDATE
        SET observations = add_arrays(t.observations, excluded.observations),
            seconds = t.seconds + excluded.seconds
        RETURNING 1
    )
    SELECT count(*) FROM written
$$;

CREATE VIEW operation_timing_sums AS
    SELECT operation, sum_arrays(observations) AS observations, sum(seconds) AS seconds
    FROM (SELECT operation, observations, seconds FROM operation_timings
          UNION ALL
          SELECT operation, observations, seconds FROM operation_timing_deltas) AS both_parts
    GROUP BY operation;

-- What a worker last said of itself, such as when it last finished.
CREATE TABLE gauges (
    name    text PRIMARY KEY,
    value   double precision NOT NULL,
    set_at  timestamptz NOT NULL DEFAULT now()
);
