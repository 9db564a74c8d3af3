"""Prometheus and OpenMetrics text, written straight from rows (docs/adr/0016)."""
