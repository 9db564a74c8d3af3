"""Sending the spool's entries to the site: one request at a time."""
