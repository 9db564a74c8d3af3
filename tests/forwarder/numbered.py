"""A forwarder whose samples are numbered: ``python -m tests.forwarder.numbered TAKEN …``.

It appends the number of each sample to the file TAKEN when the pass with the sample has returned.
The other arguments are the forwarder's own. All of it is real but the readings.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from hpcobs_forwarder.clock import rfc3339
from hpcobs_forwarder.compose import Parts
from hpcobs_forwarder.main import main
from hpcobs_forwarder.spool.journal import BatchWriter

if TYPE_CHECKING:
    from hpcobs_forwarder.clock import Clock

PASSES_OF_A_BATCH = 4


class Numbered:
    """The work of a node whose only readings are numbers."""

    passes = 0

    def __init__(self, taken: int, writer: BatchWriter, clock: Clock) -> None:
        self._taken = taken
        self._writer = writer
        self._clock = clock

    def tick(self) -> None:
        Numbered.passes += 1
        number = f"{os.getpid()}{Numbered.passes:06}"
        sample = {
            "job_id": number,
            "timestamp": rfc3339(self._clock.wall()),
            "cpu_usage": Numbered.passes % 100,
            "memory_usage_mb": 1,
        }
        self._writer.add([sample], {"cpus": 8}, None)
        os.write(self._taken, f"{number}\n".encode())
        if Numbered.passes % PASSES_OF_A_BATCH == 0:
            self._writer.seal(None)

    def close(self) -> None:
        self._writer.seal(None)


class NumberedParts(Parts):
    """The parts of a forwarder with that work."""

    def work(self) -> Numbered:
        taken = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return Numbered(taken, BatchWriter(self.spool, "n1", self.clock), self.clock)


if __name__ == "__main__":
    from hpcobs_forwarder import compose

    compose.Parts = NumberedParts  # type: ignore[misc]
    sys.exit(main(sys.argv[2:]))
