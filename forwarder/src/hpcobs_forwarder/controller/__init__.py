"""The controller role: send the changes of slurmctld's jobs and nodes to the site."""
