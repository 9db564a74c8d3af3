"""What can be read of jobs and of the node: one reader per file.

A reader raises OSError where a file cannot be read and ValueError where it makes no sense; a job
folder that vanishes in between is the first. Nothing is ever made up for a missing reading.
"""
