"""What Slurm calls this host. Its node names need not be the host's name, and may be several."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hpcobs_forwarder.node_names import is_node_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpcobs_forwarder.spool.fallback import KeptFile

_SCOPE = "_slurmstepd.scope"
_TOP = "slurm_"


class UnknownNodeError(ValueError):
    """Several nodes of Slurm are on this host, and nothing shows which one runs the job."""


class NodeNames:
    """The names of this host's nodes. Each ``slurmd`` on the host has its own.

    Slurm's word counts: the records of its Prologs, and the folders of its jobs. ``configured`` is
    the name while there is neither.
    """

    def __init__(self, configured: str, file: KeptFile | None = None) -> None:
        """Know no other name yet. ``file`` keeps the names for the next start."""
        self._configured = configured
        self._file = file
        self._saved: list[str] = []
        self._found: list[str] = []

    def learn(self, recorded: Iterable[str | None], tops: Iterable[str]) -> None:
        """Remember the names in the Prologs' records and in the paths of Slurm's folders."""
        found = {*recorded, *map(node_in, tops)} - {None, ""}
        # An idle node has no record, and keeps its name.
        if found:
            self._found = sorted(filter(None, found))
        elif not self._found:
            self._found = self._saved = self._load()

    def save(self) -> None:
        """Write the names if they have changed. Raise OSError."""
        if self._file is None or self._found == self._saved:
            return
        kept = {"configured": self._configured, "names": self._found}
        if self._file.write(json.dumps(kept)):
            self._saved = self._found

    def _load(self) -> list[str]:
        """Return the names of the last run, unless the node was configured anew since."""
        for text in self._file.read() if self._file else ():
            try:
                kept = json.loads(text)
                if kept["configured"] == self._configured:
                    return sorted(filter(None, map(valid_name, kept["names"])))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # the file is damaged
        return []

    def all(self) -> list[str]:
        """Return the names under which the host's own readings are sent."""
        return self._found or [self._configured]

    def own(self) -> str | None:
        """Return the node of a job of which nothing shows the node. None if it is in doubt."""
        if not self._found or self._configured in self._found:
            return self._configured
        return self._found[0] if len(self._found) == 1 else None

    def of_job(self, recorded: str | None, path: str) -> str:
        """Return the node of a job, by the path of its cgroup, else by its Prolog's record.

        Raise UnknownNodeError.
        """
        # A job on several nodes of one host has a cgroup for each of them, and the record of one.
        name = node_in(path) or recorded or self.own()
        if name is None:
            raise UnknownNodeError(
                f"{path} is a job of one of the nodes {', '.join(self._found)}; set HPCOBS_NODE"
            )
        return name


def valid_name(name: object) -> str | None:
    """Return the node's name in a record, or None if it cannot be one."""
    return name if isinstance(name, str) and is_node_name(name) else None


def node_in(path: str) -> str | None:
    """Return the node in a path such as ``slurm_n1/uid_7/job_1``, or None if it names none."""
    # A job is at most two folders below Slurm's own.
    for part in reversed(path.split("/")[-3:]):
        name = part[: -len(_SCOPE)] if part.endswith(_SCOPE) else None
        name = part[len(_TOP) :] if part.startswith(_TOP) else name
        if name is not None:
            return valid_name(name)
    return None
