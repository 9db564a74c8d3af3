"""The hourly schedule that makes partitions, rolls up hours and deletes expired data."""
