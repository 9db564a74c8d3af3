"""The hourly schedule that makes room and ends what is old."""
