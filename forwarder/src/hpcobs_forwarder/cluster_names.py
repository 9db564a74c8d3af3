"""The names of clusters that the site accepts. A wrong one would cost every batch."""

from __future__ import annotations

import re

LONGEST = 64

# The site's rule, hpcobs.domain.values.CLUSTER: test_cluster_names.py compares both.
RULE = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_NAME = re.compile(RULE)


def is_cluster_name(name: str) -> bool:
    """Return whether the site accepts the name."""
    return len(name) <= LONGEST and _NAME.fullmatch(name) is not None
