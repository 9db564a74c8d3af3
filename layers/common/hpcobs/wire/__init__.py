"""Formats that cross a process boundary at a high rate: sample batches and queue messages."""
