"""Kills, full and read-only disks, reloads and an absent site: the site's books have each sample.

``HPCOBS_SOAK_ROUNDS`` sets how many random lives are tried, and ``HPCOBS_SOAK_SEED`` the first.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.forwarder.conftest import SOURCE
from tests.forwarder.daemon import Node, environment
from tests.forwarder.fake_site import Reply, Site
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = int(os.environ.get("HPCOBS_SOAK_ROUNDS", "2"))
SEED = int(os.environ.get("HPCOBS_SOAK_SEED", "1"))
STEPS = 30
KILOBYTES = 256

pytestmark = pytest.mark.skipif(not shutil.which("nsenter"), reason="nsenter is util-linux's")


class Life:
    """A forwarder with its spool on a small disk of its own, and what it took and lost."""

    def __init__(self, node: Node, site: Site, holder: subprocess.Popen[str]) -> None:
        self.node = node
        self.site = site
        self._holder = holder
        self._taken = node.root / "taken"
        self.disk = Path(f"/proc/{holder.pid}/root{node.spool}")
        self.is_full = self.is_read_only = False
        self.lost = 0
        self.runs = 0

    def start(self) -> None:
        self.runs += 1
        own = ["--config", str(self.node.config), "--sysfs-root", str(self.node.root)]
        module = [sys.executable, "-m", "tests.forwarder.numbered", str(self._taken), *own]
        path = f"{SOURCE}:{Path(__file__).parents[2]}"
        with (self.node.root / "forwarder.log").open("a") as log:
            self.node.process = subprocess.Popen(
                [*self._inside(), *module],
                env={**environment(), "PYTHONPATH": path},
                stderr=log,
                text=True,
            )
        before = len(self.taken())
        eventually(lambda: len(self.taken()) > before, log=self.node.log)

    def _inside(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt"]

    def _end(self, number: signal.Signals) -> None:
        assert self.node.process is not None
        self.node.signal(number)
        self.node.process.wait(WAIT_SECONDS)

    def kill(self) -> None:
        self._end(signal.SIGKILL)
        self.start()

    def stop(self) -> None:
        (self.node.root / "health.prom").unlink(missing_ok=True)
        self._end(signal.SIGTERM)
        self._count_lost()
        self.start()

    def reload(self) -> None:
        self.runs += 1
        self.node.signal(signal.SIGHUP)

    def fill(self) -> None:
        if self.is_read_only:
            return
        try:
            (self.disk / "zeros").write_bytes(b"\0" * (KILOBYTES << 10))
        except OSError:
            self.is_full = True

    def free(self) -> None:
        if not self.is_read_only:
            (self.disk / "zeros").unlink(missing_ok=True)
            self.is_full = False

    def toggle(self) -> None:
        """Make the disk read-only, or writable again, while the forwarder is killed."""
        self._end(signal.SIGKILL)
        self.is_read_only = not self.is_read_only
        option = "remount,ro" if self.is_read_only else "remount,rw"
        mount = [*self._inside(), "mount", "-o", option, str(self.node.spool)]
        subprocess.run(mount, check=True, capture_output=True)
        self.start()

    def leave(self) -> None:
        self.site.usual = Reply(503, headers=(("Retry-After", "0"),))

    def come(self) -> None:
        self.site.usual = Reply()

    def taken(self) -> list[str]:
        return self._taken.read_text().split() if self._taken.exists() else []

    def samples(self) -> list[dict[str, Any]]:
        return [sample for body in list(self.site.accepted()) for sample in body["samples"]]

    def received(self) -> set[str]:
        return {sample["job_id"] for sample in self.samples()}

    def _count_lost(self) -> None:
        health = self.node.root / "health.prom"
        lines = health.read_text().splitlines() if health.exists() else []
        dropped = [line for line in lines if "samples_dropped_total{" in line]
        self.lost += sum(int(float(line.split()[1])) for line in dropped)

    def finish(self) -> None:
        """Let the site have all that is left."""
        if self.is_read_only:
            self.toggle()
        self.free()
        self.come()
        self.stop()  # it also ends the pauses after failures of the site


@pytest.fixture
def life(tmp_path: Path, site: Site) -> Iterator[Life]:
    node = Node(tmp_path, site)
    node.configure(HPCOBS_INTERVAL_SECONDS="0.1")  # the least
    node.spool.mkdir()
    script = f"mount -t tmpfs -o size={KILOBYTES}k,mode=700 tmpfs {node.spool} && echo ready"
    holder = subprocess.Popen(
        ["unshare", "--mount", "/bin/sh", "-c", f"{script} && exec sleep {10 * WAIT_SECONDS:.0f}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert holder.stdout is not None
    ready = holder.stdout.readline()
    try:
        if not ready:
            pytest.skip("mounting is not allowed here")
        yield Life(node, site, holder)
    finally:
        node.stop()
        holder.kill()
        holder.wait()
        holder.stdout.close()


ANY = ["kill", "kill", "stop", "reload", "fill", "fill", "free", "toggle", "leave", "come"]


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_books_have_each_sample_of_any_life(life: Life, seed: int) -> None:
    chance = random.Random(seed)
    life.start()
    for _ in range(STEPS):
        getattr(life, chance.choice(ANY))()
        time.sleep(chance.uniform(0.0, 0.4))
    life.finish()
    taken = set(life.taken())

    eventually(lambda: taken <= life.received(), log=lambda: missing(life, taken))
    assert life.lost == 0
    # A file that a read-only disk does not remove is sent once by each run.
    batches = [body["batch_id"] for body in life.site.accepted()]
    assert max(batches.count(batch) for batch in set(batches)) <= life.runs
    times = {(one["job_id"], one["timestamp"]) for one in life.samples()}
    assert len(times) == len(life.received()), "a sample has one key, however often it comes"


@pytest.mark.parametrize("is_reloaded", [True, False])
def test_memory_is_written_before_a_stop(life: Life, *, is_reloaded: bool) -> None:
    life.node.fallback.symlink_to("/")  # not ours alone: it is not used
    life.start()
    life.leave()
    life.fill()
    for _ in range(2):
        before = len(life.taken())
        eventually(lambda: len(life.taken()) > before + 12)  # noqa: B023 - called here
        if is_reloaded:
            life.reload()
    life.free()
    life.stop()
    life.finish()
    taken = set(life.taken())

    eventually(lambda: taken <= life.received(), log=lambda: missing(life, taken))
    assert life.lost == 0


def test_stop_without_any_folder_counts_the_rest(life: Life) -> None:
    life.node.fallback.symlink_to("/")  # not ours alone: it is not used
    life.start()
    life.leave()
    life.fill()
    before = len(life.taken())
    eventually(lambda: len(life.taken()) > before + 12)
    life.stop()
    assert life.lost > 0
    life.finish()
    taken = set(life.taken())

    eventually(lambda: len(taken - life.received()) <= life.lost, log=lambda: missing(life, taken))
    assert f"{life.lost} samples from " in life.node.log()


def missing(life: Life, taken: set[str]) -> str:
    return f"missing: {sorted(taken - life.received())}\n{life.node.log()}"
