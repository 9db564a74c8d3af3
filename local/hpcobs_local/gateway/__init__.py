"""API Gateway's HTTP API on this machine: requests become payload 2.0 events for the functions."""
