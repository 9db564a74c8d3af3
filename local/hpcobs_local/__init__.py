"""The whole service on one machine: the Lambda handlers, each in a separate process."""
