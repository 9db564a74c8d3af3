"""How a command fails: in one line."""

from __future__ import annotations


class CommandError(Exception):
    """The command cannot do what was asked; the message is one line for people."""
