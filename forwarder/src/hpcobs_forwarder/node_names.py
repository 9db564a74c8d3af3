"""The names of nodes that the site accepts. A wrong one would cost a whole batch."""

from __future__ import annotations

import re

LONGEST = 255

# The site's rule, hpcobs.domain.values.NODE: test_node_names.py compares both. Halves of surrogate
# pairs are added, because Python makes them of bytes that are not UTF-8.
RULE = (
    r"[^\x00-\x20,\[\]\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]+"
)
_NAME = re.compile(RULE)
_HALF = re.compile("[\ud800-\udfff]")


def is_node_name(name: str) -> bool:
    """Return whether the site accepts the name."""
    if len(name) > LONGEST or _HALF.search(name):
        return False
    return _NAME.fullmatch(name) is not None
