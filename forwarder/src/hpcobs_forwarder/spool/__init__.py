"""The queue on disk: files that wait to be sent.

``samples/`` holds batches of samples, ``events/`` the events of hooks and controller, ``jobs/`` the
job records of the Prolog, ``quarantine/`` files that the site rejected or that are damaged. File
names sort by time. No file is changed in place: files are appended to, renamed and removed.
"""
