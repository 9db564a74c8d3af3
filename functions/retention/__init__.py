"""The hourly schedule that creates partitions, rolls up hours and deletes expired data."""
