"""Batches of samples, on their way to the queue."""
