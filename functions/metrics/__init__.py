"""The Prometheus scrape."""
