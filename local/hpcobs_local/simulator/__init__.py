"""A site that does not exist: a simulated cluster that posts through the real routes."""
