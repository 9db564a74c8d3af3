"""What waits on disk to be sent.

``samples/`` batches of samples, ``events/`` the hooks' events, ``jobs/`` the Prolog's records,
``quarantine/`` what the site refused or what cannot be read. File names sort by time. Nothing in
here is ever changed in place: files are appended to, renamed and removed.
"""
