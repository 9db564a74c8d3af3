"""The kinds of jobs that the simulated users submit, and how these jobs end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpcobs.domain.jobs import GpuVendor
from hpcobs_local.simulator.cluster import patterns

if TYPE_CHECKING:
    from hpcobs_local.simulator.cluster.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends, in the controller's terms.

    On a real cluster the epilogs cannot see a cancellation, a time limit or a requeue: to them
    the run looks successful. For such an ending ``epilogs_know`` is False.
    """

    raw_state: str
    exit_code: int = 0
    signal: int = 0
    epilogs_know: bool = True

    @property
    def epilog_exit(self) -> tuple[int, int]:
        """Exit code and signal that the epilogs report."""
        return (self.exit_code, self.signal) if self.epilogs_know else (0, 0)


COMPLETED = Ending("COMPLETED")
EXIT_3 = Ending("FAILED", exit_code=3)
# Slurm reports an out-of-memory kill as 0:125.
OUT_OF_MEMORY = Ending("OUT_OF_MEMORY", signal=125)
CANCELLED = Ending("CANCELLED", signal=15, epilogs_know=False)
TIMEOUT = Ending("TIMEOUT", signal=15, epilogs_know=False)
REQUEUED = Ending("PENDING", epilogs_know=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A kind of job. Sizes are per node. ``minutes`` are the bounds of its runtime."""

    name: str
    account: str
    pattern: Pattern
    minutes: tuple[float, float]
    cpus: int
    memory_mb: int
    nodes: int = 1
    gpus: int = 0
    gpu_vendor: GpuVendor = GpuVendor.NONE
    ending: Ending = COMPLETED
    tasks: int = 1
    requeues: int = 0


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="climate",
        account="earth",
        pattern=patterns.steady,
        minutes=(90, 240),
        cpus=24,
        memory_mb=96_000,
    ),
    Recipe(
        name="meshing",
        account="engineering",
        pattern=patterns.ramping,
        minutes=(40, 120),
        cpus=8,
        memory_mb=64_000,
    ),
    Recipe(
        name="assembly",
        account="biology",
        pattern=patterns.leaking,
        minutes=(45, 110),
        cpus=4,
        memory_mb=32_000,
        ending=OUT_OF_MEMORY,
    ),
    Recipe(
        name="train-vision",
        account="learning",
        pattern=patterns.training,
        minutes=(120, 240),
        cpus=12,
        memory_mb=96_000,
        gpus=2,
        gpu_vendor=GpuVendor.NVIDIA,
    ),
    Recipe(
        name="notebook",
        account="learning",
        pattern=patterns.idling_gpu,
        minutes=(120, 240),
        cpus=4,
        memory_mb=32_000,
        gpus=1,
        gpu_vendor=GpuVendor.NVIDIA,
        ending=CANCELLED,
    ),
    Recipe(
        name="protein",
        account="biology",
        pattern=patterns.training,
        minutes=(60, 180),
        cpus=8,
        memory_mb=64_000,
        gpus=2,
        gpu_vendor=GpuVendor.AMD,
    ),
    Recipe(
        name="sweep",
        account="physics",
        pattern=patterns.bursting,
        minutes=(20, 60),
        cpus=4,
        memory_mb=8_000,
        tasks=3,
    ),
    Recipe(
        name="airflow",
        account="engineering",
        pattern=patterns.exchanging,
        minutes=(60, 150),
        cpus=16,
        memory_mb=64_000,
        nodes=2,
    ),
    Recipe(
        name="analysis",
        account="physics",
        pattern=patterns.bursting,
        minutes=(15, 30),
        cpus=2,
        memory_mb=8_000,
        ending=EXIT_3,
    ),
    Recipe(
        name="wrong-input",
        account="earth",
        pattern=patterns.steady,
        minutes=(15, 40),
        cpus=16,
        memory_mb=32_000,
        ending=CANCELLED,
    ),
    Recipe(
        name="backfill",
        account="physics",
        pattern=patterns.steady,
        minutes=(30, 60),
        cpus=8,
        memory_mb=16_000,
        requeues=1,
    ),
    Recipe(
        name="fitting",
        account="earth",
        pattern=patterns.ramping,
        minutes=(60, 90),
        cpus=4,
        memory_mb=16_000,
        ending=TIMEOUT,
    ),
    Recipe(
        name="postprocess",
        account="engineering",
        pattern=patterns.wasting,
        minutes=(40, 90),
        cpus=32,
        memory_mb=128_000,
    ),
)

USERS = ("ada", "alan", "barbara", "edsger", "grace", "katherine")
