"""The failure of a command."""

from __future__ import annotations


class CommandError(Exception):
    """A command failed. The message is one line for people."""
