-- append: append one environment's timings and errors since its last flush
WITH timed AS (
    INSERT INTO operation_timing_deltas (operation, observations, seconds)
    SELECT operation, observations::bigint[], seconds
    FROM unnest(%(operations)s::text[], %(observations)s::text[], %(seconds)s::float8[])
         AS given (operation, observations, seconds)
)
INSERT INTO counter_deltas (name, delta)
SELECT name, delta
FROM unnest(%(error_names)s::text[], %(error_counts)s::float8[]) AS given (name, delta)
