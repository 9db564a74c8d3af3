"""Prometheus and OpenMetrics text, written straight from rows."""
