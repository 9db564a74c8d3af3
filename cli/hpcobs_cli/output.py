"""The output of commands."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 200
"""Width of tables without a terminal, so that no column is cut."""


def allow_any_text() -> None:
    """Print characters that the terminal's encoding lacks as question marks, without an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def discard_output() -> None:
    """Discard the output that is still buffered, after writing it failed."""
    # The interpreter flushes standard output at its end, and would fail a second time.
    with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def console() -> Console:
    """Return the standard output, as wide as its terminal and coloured, or plain and wide."""
    from rich.console import Console

    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console(width=shutil.get_terminal_size().columns)
    return Console(width=WIDE)


def print_json(content: Any) -> None:
    """Print the content as indented JSON without colours, for other programs."""
    # A terminal that cannot show a character gets its JSON escape, which a program can read.
    ascii_only = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=ascii_only) + "\n")
    sys.stdout.flush()
