"""The controller role: what slurmctld knows of jobs and nodes goes to the site as it changes."""
