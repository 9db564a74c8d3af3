"""What the cluster's hooks and its controller tell of jobs."""
