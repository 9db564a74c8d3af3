"""The schedule that drains the queue into the database."""
