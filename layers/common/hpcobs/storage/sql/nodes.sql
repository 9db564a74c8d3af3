-- report: store the controller's view of nodes, unless a newer one is stored; values that it lacks stay
INSERT INTO nodes AS known (
    name, cluster_name, state, cpus, memory_total_mb, gpus, cpu_load, state_seen_at
)
-- A controller whose clock runs ahead must not make its own later views look old.
SELECT DISTINCT ON (cluster_name, name)
       name, cluster_name, state, cpus, memory_total_mb, gpus, cpu_load, least(observed_at, now())
FROM unnest(
    %(names)s::text[], %(clusters)s::text[], %(states)s::text[], %(cpus)s::int[],
    %(memory_total_mb)s::bigint[], %(gpus)s::int[], %(cpu_load)s::float8[],
    %(observed_at)s::timestamptz[]
) AS reported (name, cluster_name, state, cpus, memory_total_mb, gpus, cpu_load, observed_at)
ORDER BY cluster_name, name
ON CONFLICT (cluster_name, name) DO UPDATE
SET state = excluded.state,
    cpus = coalesce(excluded.cpus, known.cpus),
    memory_total_mb = coalesce(excluded.memory_total_mb, known.memory_total_mb),
    gpus = coalesce(excluded.gpus, known.gpus),
    cpu_load = coalesce(excluded.cpu_load, known.cpu_load),
    state_seen_at = excluded.state_seen_at,
    updated_at = now()
WHERE known.state_seen_at IS NULL OR excluded.state_seen_at >= known.state_seen_at
   -- A view from the future came while the clock was ahead. It must not hide those that follow.
   OR known.state_seen_at > now() + interval '10 minutes'
