-- report: take over the controller's view of nodes; what it does not tell stays as it was
INSERT INTO nodes AS known (
    name, cluster_name, state, cpus, memory_total_mb, gpus, cpu_load, state_seen_at
)
SELECT DISTINCT ON (name) name, cluster_name, state, cpus, memory_total_mb, gpus, cpu_load, now()
FROM unnest(
    %(names)s::text[], %(clusters)s::text[], %(states)s::text[], %(cpus)s::int[],
    %(memory_total_mb)s::bigint[], %(gpus)s::int[], %(cpu_load)s::float8[]
) AS reported (name, cluster_name, state, cpus, memory_total_mb, gpus, cpu_load)
ORDER BY name
ON CONFLICT (name) DO UPDATE
SET cluster_name = coalesce(excluded.cluster_name, known.cluster_name),
    state = excluded.state,
    cpus = coalesce(excluded.cpus, known.cpus),
    memory_total_mb = coalesce(excluded.memory_total_mb, known.memory_total_mb),
    gpus = coalesce(excluded.gpus, known.gpus),
    cpu_load = coalesce(excluded.cpu_load, known.cpu_load),
    state_seen_at = excluded.state_seen_at,
    updated_at = now()
