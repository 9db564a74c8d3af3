"""Reads the claims of a JWT without checking them: only its issuer has the key for that."""

from __future__ import annotations

import base64
import json
from typing import Any


def claims_of(token: str) -> dict[str, Any] | None:
    """Return the claims of a token, or None if it is no JWT."""
    try:
        middle = token.split(".")[1]
        # base64 in JWTs has no padding (RFC 7515), which Python requires.
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None
