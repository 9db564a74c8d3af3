"""A node where Slurm makes cgroups, and which a job may hold without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from tests.forwarder.clocks import FakeClock
from tests.forwarder.trees import host, record, write

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health

BOOT = "f0e1d2c3"
SLUID = "s4YDWXGQK8ZT30"


class Held:
    """A node where Slurm makes cgroups, its spool and its sampler."""

    def __init__(self, root: Path, health: Health, *, has_cgroups: bool = True) -> None:
        self.root = root
        self.spool = root / "spool"
        self.clock = FakeClock()
        self.readers: tuple[Any, ...] = ()
        self._health = health
        host(root)
        write(root / "proc/sys/kernel/random/boot_id", f"{BOOT}\n")
        write(root / "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
        if has_cgroups:
            write(root / "sys/fs/cgroup/system.slice/slurmstepd.scope/system/cgroup.procs", "1\n")
        self.restart()

    def restart(self) -> None:
        sources = Sources(
            str(self.root),
            Discovery(str(self.root), "n1"),
            Records(str(self.spool / "jobs")),
            self.readers,
            node="n1",
            spool=str(self.spool),
        )
        self.sampler = Sampler(sources, interval_seconds=10, health=self._health, clock=self.clock)

    def prolog(self, job_id: str = "7", *, ago: float = 400, **fields: Any) -> Path:
        """Write the record of a Prolog that ran ``ago`` seconds before."""
        began = {"uptime_seconds": f"{self.clock.up - ago:.2f}", "boot_id": BOOT, "node": "n1"}
        return record(self.spool / "jobs", job_id, **{**began, **fields})

    def epilog(self, job_id: str = "7", *, at: float = 9e12, name: str = "{}") -> None:
        """Write the event of an Epilog, without removing the record."""
        event = name.format(f"{at:013.0f}-{job_id}-4711.finished.json")
        write(self.spool / "events" / event, "{}")

    def take(self, *, after: float = 10) -> list[dict[str, Any]]:
        samples = self.sampler.take().samples
        self.sampler.save()
        self.clock.advance(after)
        return samples


def is_idle(sample: dict[str, Any]) -> bool:
    """Return whether a sample has no counters: they belong to a cgroup."""
    return "cpu_seconds_total" not in sample
