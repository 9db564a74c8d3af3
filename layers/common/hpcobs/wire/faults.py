"""A decoder's error as a fault in the contract's terms: which field, and why."""

from __future__ import annotations

import re

from msgspec import ValidationError

from hpcobs.domain.values import CLUSTER_RULE, NODE_RULE, UUID_RULE

# msgspec reports errors as text only: "Expected `float` <= 100.0 - at `$.samples[3].cpu_usage`".
_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_FIELD = re.compile(
    r"Object (?P<how>missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL
)
_NAME_LENGTH = 64
_PATTERN = "Expected `str` matching regex"
_RULES = {"node": NODE_RULE, "cluster_name": CLUSTER_RULE, "batch_id": UUID_RULE}
"""What the patterns of fields demand, because a pattern is no message."""

Fault = tuple[str, str]
"""A field's path, such as ``samples[3].cpu_usage``, and why its value is rejected."""


def explain(error: Exception, *, whole: str) -> Fault:
    """Return where and why a decoder rejected its input. ``whole`` names the input itself."""
    if isinstance(error, RecursionError):
        return whole, "is nested too deeply"
    if not isinstance(error, ValidationError):
        return whole, f"is not JSON: {_readable(str(error).removeprefix('JSON is malformed: '))}"
    message = _MESSAGE.fullmatch(str(error))
    what, path = (message["what"], message["path"] or "") if message else (str(error), "")
    if field := _FIELD.fullmatch(what):
        why = "is required" if field["how"].startswith("missing") else "is not a known field"
        # A name may be empty, and an error must name its field.
        name = _readable(field["name"]) or '""'
        return f"{path}.{name}".lstrip("."), why
    place = path.lstrip(".")
    if what.startswith(_PATTERN) and place in _RULES:
        return place, _RULES[place]
    return place or whole, _readable(what[:1].lower() + what[1:])


def _readable(text: str) -> str:
    """Return ``text`` on one line and short, because parts of it come from the sender."""
    plain = text.replace("`", "")[:_NAME_LENGTH]
    return plain if plain.isprintable() else ascii(plain)[1:-1]
