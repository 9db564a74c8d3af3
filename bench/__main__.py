"""Run the benchmarks: ``python -m bench [name …]``; all of them without a name."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = (
    *("parse", "events", "collector", "scrape", "pages", "chart", "retention", "growth"),
    *("cold_start", "forwarder", "hooks"),
)


def main(names: list[str]) -> int:
    """Run the named benchmarks; 2 for a name that is not one."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
        return 2
    for name in names or BENCHMARKS:
        import_module(f"bench.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
