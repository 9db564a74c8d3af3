"""A simulated site: a mock cluster whose events and samples are posted to the real routes."""
