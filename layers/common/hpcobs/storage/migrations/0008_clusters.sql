-- Several clusters at one site: a node is known by its cluster and its name. GPUs that several jobs share.

-- A node that never named its cluster is of the site's own. That is the cluster of the jobs whose ids have no
-- cluster in front. Without such a job nobody knows, and the node comes back with its next report.
UPDATE nodes
SET cluster_name = own.cluster_name
FROM (
    SELECT cluster_name
    FROM jobs
    WHERE left(id, length(cluster_name) + 1) <> (cluster_name || '.') COLLATE "C"
    LIMIT 1
) AS own
WHERE nodes.cluster_name IS NULL;
DELETE FROM nodes WHERE cluster_name IS NULL;

ALTER TABLE nodes DROP CONSTRAINT nodes_pkey;
ALTER TABLE nodes ADD PRIMARY KEY (cluster_name, name);

-- True where several jobs use the GPU. NULL is "not reported", as by older forwarders.
ALTER TABLE gpu_samples ADD COLUMN shared boolean;
ALTER TABLE job_gpus ADD COLUMN shared boolean;
ALTER TABLE gpu_rollups ADD COLUMN shared boolean;
