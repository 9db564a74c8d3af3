"""Run the benchmarks: ``python -m bench [name …] [-v]``. Without a name, run all but two.

``scrape_five_million`` runs only by its name, because filling its tables takes some minutes, and
``trips`` because it measures no time. ``-v`` makes ``trips`` list the files that it counts.
"""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = (
    *("parse", "events", "collector", "scrape", "pages", "chart", "retention", "growth"),
    *("cold_start", "forwarder", "hooks", "local_service"),
)

BY_NAME_ONLY = ("scrape_five_million", "trips")


def main(names: list[str]) -> int:
    """Run the named benchmarks. Return 2 for an unknown name."""
    known = (*BENCHMARKS, *BY_NAME_ONLY)
    chosen = [name for name in names if name != "-v"]
    if unknown := set(chosen) - set(known):
        print(f"There is no benchmark {', '.join(sorted(unknown))}. Known: {', '.join(known)}.")
        return 2
    for name in chosen or BENCHMARKS:
        import_module(f"bench.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
