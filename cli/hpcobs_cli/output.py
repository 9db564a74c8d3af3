"""Where commands print."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 200
"""Without a terminal nothing is cut to fit one."""


def console() -> Console:
    """The standard output: coloured and as wide as its terminal, or plain and wide."""
    from rich.console import Console

    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console(width=shutil.get_terminal_size().columns)
    return Console(width=WIDE)


def print_json(content: Any) -> None:
    """The content as indented JSON, uncoloured, for other programs."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
