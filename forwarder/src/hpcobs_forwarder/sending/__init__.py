"""Sending what waits in the spool: one request at a time, in a thread of its own."""
