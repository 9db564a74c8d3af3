"""Where commands print."""

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
"""Without a terminal nothing is cut to fit one."""


def suit_terminal() -> None:
    """Have what a terminal cannot show replaced by a question mark, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def give_up_output() -> None:
    """Nothing can be written any more: what is still buffered must not fail once again."""
    with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def console() -> Console:
    """The standard output: coloured and as wide as its terminal, or plain and wide."""
    from rich.console import Console

    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console(width=shutil.get_terminal_size().columns)
    return Console(width=WIDE)


def print_json(content: Any) -> None:
    """The content as indented JSON, uncoloured, for other programs."""
    ascii_only = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=ascii_only) + "\n")
    sys.stdout.flush()
