"""Query slurmctld by ``scontrol``, or by ``squeue`` and ``sinfo``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.decode import decoded
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.nodes import node_of
from hpcobs_forwarder.controller.process import run
from hpcobs_forwarder.controller.records import Faults, parsed
from hpcobs_forwarder.controller.source import SourceError, cluster_of, listed

if TYPE_CHECKING:
    from collections.abc import Callable


def query(command: list[str], key: str, run: Callable[[list[str]], bytes]) -> list[Any]:
    """Return the list under ``key`` of the JSON that a command prints. Raise SourceError."""
    output = run(command)
    try:
        return listed(decoded(output), key)
    except ValueError as error:
        raise SourceError(f"{command[0]}: {error}") from error


class Commands:
    """slurmctld, queried by ``scontrol``, or by ``squeue`` and ``sinfo`` in older versions."""

    name = "commands"

    def __init__(self, run: Callable[[list[str]], bytes] = run) -> None:
        """Use ``run`` to run a command."""
        self._run = run
        self._older = False
        self.cluster_name: str | None = None
        self.faults = Faults()

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs in slurmctld's memory. Raise SourceError."""
        # --all: also jobs in hidden partitions. --states=all: squeue shows ended jobs only with it.
        raw = self._first(
            ["scontrol", "--all", "--json", "show", "jobs"],
            ["squeue", "--all", "--states=all", "--json"],
            "jobs",
        )
        self.cluster_name = cluster_of(raw) or self.cluster_name
        self.faults = Faults()
        return parsed(raw, job_of, self.faults)

    def nodes(self) -> list[dict[str, Any]]:
        """Return all nodes. Raise SourceError."""
        raw = self._first(["scontrol", "--json", "show", "nodes"], ["sinfo", "--json"], "nodes")
        return parsed(raw, node_of, Faults())

    def _first(self, newer: list[str], older: list[str], key: str) -> list[Any]:
        # squeue and sinfo had --json in versions of Slurm whose scontrol had not. Any other failure
        # of scontrol would be one of theirs too.
        if not self._older:
            try:
                return query(newer, key, self._run)
            except SourceError as error:
                if "unrecognized option" not in str(error):
                    raise
            self._older = True
        return query(older, key, self._run)
