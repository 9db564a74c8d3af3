"""Play stories until the time is up, and print a table of them: ``make soak``.

Variables: SOAK_MINUTES (10), SOAK_SEED (the first seed, else a random one). A story with
differences is printed with its seed, which plays it again: SOAK_SEED=SEED SOAK_MINUTES=0.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.books.story import Outline, Story, story
from tests.books.workers import CAN_MOVE_CLOCKS

ROW = "{:>10}  {:>12}  {:>8}  {:>8}  {:>7}  {:>8}  {:>8}  {}"
TITLES = ("seed", "retention", "samples", "rejected", "faults", "retries", "seconds", "result")
LARGE = 20
"""One story of so many has many jobs and samples."""


def outline_of(seed: int) -> Outline:
    """Return the outline of a seed's story: mostly a small one."""
    chance = random.Random(f"outline {seed}")
    days = tuple(chance.choice((2, 7)) for _ in range(chance.randint(1, 3)))
    jumps = chance.choice(((), (), ("+30d",), ("+800d",), ("-30d",))) if CAN_MOVE_CLOCKS else ()
    is_large = chance.randrange(LARGE) == 0
    return Outline(
        retention_days=(7, *days),
        jobs=40 if is_large else 8,
        samples_each=30 if is_large else chance.choice((3, 6, 12)),
        clock_jumps=jumps,
    )


def _row(played: Story, result: str) -> str:
    truth, faults = played.books.truth(), played.faults.total()
    days = "-".join(map(str, played.outline.retention_days))
    sizes = (len(truth.stored), len(truth.rejected), faults, played.sender.retries)
    return ROW.format(played.seed, days, *sizes, f"{played.seconds:.0f}", result)


def _play(seed: int, totals: Counter[str]) -> bool:
    """Play one story. Print its row, and what differs. Keep its folder if something does."""
    folder = Path(tempfile.mkdtemp(prefix=f"books-{seed}-"))
    with story(seed, outline_of(seed), folder) as played:
        try:
            found = played.play()
        except Exception:  # noqa: BLE001 - the next story is worth playing
            found = [traceback.format_exc()]
        print(_row(played, f"{len(found)} differences" if found else "equal"), flush=True)
        totals.update(played.faults, stories=1, stored=len(played.books.truth().stored))
        totals.update(different=bool(found))
    for line in found:
        print("    " + line.replace("\n", "\n    "))
    if found:
        print(f"    data and logs: {folder}; again: make soak SOAK_SEED={seed} SOAK_MINUTES=0")
    else:
        shutil.rmtree(folder)
    return not found


def main() -> int:
    """Play stories for SOAK_MINUTES. Return 1 if one has differences."""
    # A shell starts background jobs with SIGINT ignored, and a service inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end = time.monotonic() + 60 * float(os.environ.get("SOAK_MINUTES", "10"))
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))
    if not CAN_MOVE_CLOCKS:
        print("clocks are not moved: install Debian's package libfaketime")
    print(ROW.format(*TITLES), flush=True)
    totals: Counter[str] = Counter()
    is_equal = True
    while True:
        is_equal &= _play(seed, totals)
        seed += 1
        if time.monotonic() >= end:
            break
    print("\n" + "\n".join(f"{count:>8}  {what}" for what, count in sorted(totals.items())))
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
