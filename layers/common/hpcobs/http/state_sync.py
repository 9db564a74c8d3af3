"""The entries of a state sync: what can be read goes on, what cannot is answered by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hpcobs.domain.errors import DomainError
from hpcobs.http.models.sync import SeenJob, SeenNode
from hpcobs.http.validation import validated
from hpcobs.http.views import event_result
from hpcobs.service.job_events import FAILED, EventResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.http.models.sync import StateSync

MAX_NAME = 255


@dataclass(slots=True)
class Seen:
    """A sync's entries; ``failed`` are jobs by their place in the list."""

    jobs: list[SchedulerJob] = field(default_factory=list)
    nodes: list[NodeReport] = field(default_factory=list)
    failed: dict[int, EventResult] = field(default_factory=dict)
    rejected_nodes: list[dict[str, str]] = field(default_factory=list)


def sorted_out(sync: StateSync) -> Seen:
    """Each entry checked by itself."""
    seen = Seen()
    for place, entry in enumerate(sync.jobs):
        try:
            job = validated(SeenJob, entry)
            seen.jobs.append(
                job.to_event(observed_at=sync.observed_at, cluster_name=sync.cluster_name)
            )
        except DomainError as error:
            seen.failed[place] = EventResult(_name(entry, "job_id"), FAILED, error.message)
    for entry in sync.nodes or ():
        try:
            node = validated(SeenNode, entry)
            seen.nodes.append(
                node.to_report(observed_at=sync.observed_at, cluster_name=sync.cluster_name)
            )
        except DomainError as error:
            seen.rejected_nodes.append({"node": _name(entry, "node"), "message": error.message})
    return seen


def view(seen: Seen, results: Sequence[EventResult]) -> dict[str, Any]:
    """One result per job, in the order of the request; rejected nodes only where there are any."""
    answer: dict[str, Any] = {"results": [event_result(item) for item in _merged(seen, results)]}
    if seen.rejected_nodes:
        answer["rejected_nodes"] = seen.rejected_nodes
    return answer


def _merged(seen: Seen, results: Sequence[EventResult]) -> Iterable[EventResult]:
    taken = iter(results)
    for place in range(len(seen.failed) + len(results)):
        yield seen.failed[place] if place in seen.failed else next(taken)


def _name(entry: Any, key: str) -> str:
    """What the entry calls itself, as far as it can be told."""
    name = entry.get(key) if isinstance(entry, dict) else None
    return name[:MAX_NAME] if isinstance(name, str) else ""
