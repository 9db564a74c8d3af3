"""The written contract, ``openapi.yaml``, as JSON, and the page on which it can be tried."""

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
    """The contract as it is written, with this version's number."""
    import yaml

    # libyaml's loader is ten times as fast; PyYAML can be built without it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (_HERE / "openapi.yaml").read_text(encoding="utf-8")
    written: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - both loaders are safe
    written["info"]["version"] = __version__
    return written


@cache
def contract_json() -> str:
    """The contract as JSON."""
    return msgspec.json.encode(contract()).decode()


@cache
def page() -> tuple[str, str]:
    """The page, and the content security policy that lets it run nothing but its own code."""
    html = (_HERE / "static" / "docs.html").read_text(encoding="utf-8")
    policy = (
        "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; img-src data:; script-src {_hash_of(html, 'script')}; "
        f"style-src {_hash_of(html, 'style')}"
    )
    return html, policy


def _hash_of(html: str, tag: str) -> str:
    """The one inline element's hash as a policy names it (CSP level 3, hash-source)."""
    content = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digest = hashlib.sha256("".join(content).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
