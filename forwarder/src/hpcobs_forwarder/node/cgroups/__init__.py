"""Readers of the jobs' cgroups, version 1 and version 2.

A reader raises OSError if a file cannot be read and ValueError if its content cannot be parsed. A
job folder that vanishes during a reading is an OSError too. No reader invents a value for a file
that is missing.
"""
