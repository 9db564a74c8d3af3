"""Events of jobs, from the cluster's hooks and from its controller."""
