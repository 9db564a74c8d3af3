"""The daemon: its loops, its signals, its configuration and its own health."""
