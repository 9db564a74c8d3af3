"""The contract, ``openapi.yaml``, as JSON, and the page that shows it and sends requests."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from hpcobs import __version__

_HERE = Path(__file__).parent


def contract() -> dict[str, Any]:
    """Load the contract, with this version's number."""
    import yaml  # only this route needs it, and it costs a cold start 10 ms

    # libyaml's loader is ten times as fast; PyYAML can be built without it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (_HERE / "openapi.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - both loaders are safe
    loaded["info"]["version"] = __version__
    return loaded


@cache
def contract_json() -> bytes:
    """Return the contract as JSON."""
    return msgspec.json.encode(contract())


@cache
def page() -> tuple[bytes, str]:
    """Return the page, and a content security policy that allows no code but the page's own."""
    content = (_HERE / "static" / "docs.html").read_bytes()
    html = content.decode()
    policy = (
        "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; img-src data:; script-src {_hash_of(html, 'script')}; "
        f"style-src {_hash_of(html, 'style')}"
    )
    return content, policy


def _hash_of(html: str, tag: str) -> str:
    """Return the hash of the one inline element of that tag (CSP level 3, hash-source)."""
    content = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digest = hashlib.sha256("".join(content).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
