"""The Epilogs that have run on this node, by the events that they write to the spool."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups import files
from hpcobs_forwarder.spool.fallback import NO_FALLBACK

if TYPE_CHECKING:
    from collections.abc import Collection

    from hpcobs_forwarder.node.records import Records
    from hpcobs_forwarder.spool.fallback import Fallback

# <milliseconds>-<job>-<pid>.finished.json; hidden, with the pid again, until it is complete.
_EVENT = re.compile(r"\.?([0-9]{1,16})-([0-9]+)-[0-9]+\.finished\.json(?:\.[0-9]+)?")


class Epilogs:
    """The ends in the folder of events. An end is remembered while its job has a record.

    An Epilog removes the job's record last. If it is killed before that, only its event shows the
    end, and the event is removed once the site has it.
    """

    def __init__(self, events: str, fallback: Fallback = NO_FALLBACK) -> None:
        """Read nothing yet."""
        self._events = events
        self._fallback = fallback
        self._ended: dict[str, int] = {}

    def ended(self, records: Records, jobs: Collection[str]) -> set[str]:
        """Return those of ``jobs`` whose Epilog ran after their Prolog."""
        found = dict(self._ended)
        folders = [self._events, *(f"{top}/events" for top in self._fallback.folders())]
        for name in (name for folder in folders for name in files.names(folder) if jobs):
            event = _EVENT.fullmatch(name)
            if event and event[2] in jobs:
                found[event[2]] = max(found.get(event[2], 0), int(event[1]))
        self._ended = {job: at for job, at in found.items() if records.of_job(job)}
        # A requeued job has an end, and a newer record.
        return {job for job in jobs if job in found and found[job] >= records.written_ms(job)}
