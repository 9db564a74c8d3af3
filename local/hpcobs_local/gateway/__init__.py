"""A local API Gateway: it turns HTTP requests into payload 2.0 events for the functions."""
