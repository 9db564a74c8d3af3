"""Run the benchmarks: ``python -m bench [name …]``; without a name, all but the longest.

``scrape_five_million`` runs by its name only: filling its tables takes some minutes.
"""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = (
    *("parse", "events", "collector", "scrape", "pages", "chart", "retention", "growth"),
    *("cold_start", "forwarder", "hooks", "local_service"),
)

BY_NAME_ONLY = ("scrape_five_million",)


def main(names: list[str]) -> int:
    """Run the named benchmarks; 2 for a name that is not one."""
    known = (*BENCHMARKS, *BY_NAME_ONLY)
    if unknown := set(names) - set(known):
        print(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
        return 2
    for name in names or BENCHMARKS:
        import_module(f"bench.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
