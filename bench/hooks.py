"""The time that Slurm waits for each hook, beside a shell with the two programs of each hook.

The site is unreachable: nothing listens at its address, as when its network is down.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measuring import Figure, show, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 41
BETWEEN_SECONDS = 0.05
"""The background process of a hook has ended by then, and does not slow the next call."""

HOOKS = Path(__file__).parents[1] / "forwarder" / "slurm"
NAMES = ("prolog", "epilog", "prolog_slurmctld", "epilog_slurmctld")
FLOOR = ("/bin/sh", "-c", ": $(date -u +%s); setsid /bin/sh -c 'exit 0'")
JOB = {
    "SLURM_CLUSTER_NAME": "bench",
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_USER": "ada",
    "SLURM_JOB_NAME": "a job's name",
    "SLURM_JOB_PARTITION": "main",
    "SLURM_JOB_CPUS_PER_NODE": "4(x2)",
    "SLURM_JOB_RESTART_COUNT": "0",
    "SLURM_JOB_EXIT_CODE2": "0:0",
    "SLURM_NODELIST": "n[1-2]",
}


def run() -> None:
    """Measure and print the results, on an idle machine and with every core busy."""
    _measure("no load of its own")
    with _busy(os.cpu_count() or 1):
        _measure("every core busy")


def _measure(load: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        environ = JOB | {
            "HPCOBS_CONFIG": f"{folder}/none.conf",
            "HPCOBS_SPOOL_DIR": f"{folder}/spool",
            "HPCOBS_FALLBACK_DIR": f"{folder}/fallback",
            "HPCOBS_TOKEN_FILE": f"{folder}/token",
            "HPCOBS_URL": "http://127.0.0.1:9",
        }
        Path(folder, "token").write_text("bench\n")
        floor: list[float] = []
        times: dict[str, list[float]] = {name: [] for name in NAMES}
        for _ in range(ROUNDS):
            floor.append(_milliseconds(FLOOR, {"PATH": "/usr/bin:/bin"}))
            for name in NAMES:
                on_node = {"SLURMD_NODENAME": "n1"} if "slurmctld" not in name else {}
                times[name].append(_milliseconds((str(HOOKS / name),), environ | on_node))
        # The last background processes still use the folder.
        time.sleep(1.0)
    show(
        f"One call of a hook, {load}, {ROUNDS} rounds",
        Figure("sh, date and setsid", "ms", floor),
        [Figure(name, "ms", values) for name, values in times.items()],
        target="under 20 ms on an idle node, ≤ 1.5 × the floor anywhere",
    )


def _milliseconds(command: tuple[str, ...], environ: dict[str, str]) -> float:
    seconds = timed(lambda: subprocess.run(command, env=environ, check=True))
    time.sleep(BETWEEN_SECONDS)
    return seconds * 1000


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep ``count`` processes busy."""
    endless = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(endless) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
