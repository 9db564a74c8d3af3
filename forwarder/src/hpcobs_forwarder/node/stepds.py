"""Find the jobs of which a step runs on this node, by Slurm's own process for each step."""

from __future__ import annotations

import re
from typing import NamedTuple

from hpcobs_forwarder.node.cgroups import files

# slurmstepd names itself so when it has its step: "slurmstepd: [17.batch]", or with an SLUID.
_STEP = re.compile(rb"slurmstepd: \[(?:StepId=|JobId=)?([0-9A-Za-z]+)[.+\]]")
_ANY_STEP = b"slurmstepd: ["


class Steps(NamedTuple):
    """Job ids (or SLUIDs) with a step. ``unknown`` is true if a step's job could not be read."""

    jobs: frozenset[str]
    unknown: bool = False


def steps_in(proc: str) -> Steps:
    """Return the jobs with a step among the processes in ``proc``."""
    jobs: set[str] = set()
    unknown = False
    for process in filter(str.isdigit, files.names(proc)):
        try:
            command = files.read(f"{proc}/{process}/cmdline")
        except OSError:
            continue  # the process has just ended
        if not command.startswith(_ANY_STEP):
            continue
        match = _STEP.match(command)
        unknown = unknown or match is None
        jobs |= {match[1].decode()} if match else set()
    return Steps(frozenset(jobs), unknown)
