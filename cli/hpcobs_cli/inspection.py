"""The claims of a token. Its signature is not checked, which would need the key."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpcobs_cli.errors import CommandError

STDIN = Path("-")
TIMES = ("exp", "iat", "nbf")


def describe(source: Path) -> str:
    """Return the claims of the token in a file, one a line, and whether it has expired."""
    import jwt

    text = _read(source).strip()
    try:
        header = jwt.get_unverified_header(text)
        claims = jwt.decode(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        # RecursionError: a deeply nested text. The text itself is not printed, it may be a secret.
        raise CommandError(f"{source}: the file has no token") from None
    texts = {name: _text(name, value) for name, value in claims.items()}
    lines = {"signed by": _signature(header), **texts}
    return "\n".join(f"{name:10} {value}" for name, value in lines.items())


def _read(source: Path) -> str:
    try:
        return sys.stdin.read() if source == STDIN else source.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{source}: {getattr(error, 'strerror', None) or error}") from None


def _signature(header: dict[str, Any]) -> str:
    return f"{header.get('alg')}, key {header.get('kid', 'not named')} (signature not checked)"


def _text(name: str, value: Any) -> str:
    if name not in TIMES:
        return str(value)
    try:
        at = datetime.fromtimestamp(value, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return str(value)
    over = ", expired" if name == "exp" and at < datetime.now(UTC) else ""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}{over}"
