"""Log files of bounded size, and a copy of a process's output into them."""

from __future__ import annotations

import asyncio
import logging
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 5_000_000
BACKUPS = 2
PART_BYTES = 65_536
"""A longer line is written in parts of this size."""


class LogFile:
    """A file of lines. With its two older files it stays below three times MAX_BYTES."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handler = RotatingFileHandler(
            path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True
        )

    def write(self, line: str) -> None:
        """Add a line."""
        self._handler.emit(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        """Close the file."""
        self._handler.close()


async def pump(stream: asyncio.StreamReader, log: LogFile) -> None:
    """Write a process's output to the log line by line, until it ends."""
    while line := await _line(stream):
        log.write(line.decode(errors="replace").rstrip("\n"))


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError:
        # The line is longer than the stream's limit, and readuntil has left it in the buffer.
        return await stream.read(PART_BYTES)
