"""From what waits in the spool to a request."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.spool.batch import Batch, decode
from hpcobs_forwarder.spool.entries import EVENT

if TYPE_CHECKING:
    from hpcobs_forwarder.spool.entries import Entry

PACKED = {"Content-Type": "application/vnd.hpcobs+json", "Content-Encoding": "gzip"}
"""API Gateway may hand a body of application/json over as text, which gzip does not survive; bodies
of types that it does not know come through as they are."""

_COMPRESSION = 4
_FINISHED = "/v1/events/job-finished"
_EVENT_PATHS = {
    "started": "/v1/events/job-started",
    "finished": _FINISHED,
    "jobs": "/v1/events/jobs",
}


class Request(NamedTuple):
    """A request, and what it is made of. ``batch`` is None for an event."""

    path: str
    body: bytes
    headers: dict[str, str]
    batch: Batch | None = None

    @property
    def finished(self) -> bool:
        """Whether it tells of a job's end."""
        return self.path == _FINISHED


def request_for(entry: Entry) -> Request:
    """The request that sends ``entry``. OSError if it cannot be read, ValueError if damaged."""
    return _event(entry) if entry.kind == EVENT else _batch(entry)


def _event(entry: Entry) -> Request:
    try:
        event = json.loads(entry.read().decode("utf-8", errors="replace"))
    except RecursionError as error:
        raise ValueError(str(error)) from error
    kind = entry.event_kind
    if kind not in _EVENT_PATHS:
        raise ValueError(f"{kind!r} is no kind of event")
    if not isinstance(event, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - what callers take for damage
    headers = dict(PACKED)
    body = gzip.compress(json.dumps(event).encode(), _COMPRESSION)
    return Request(_EVENT_PATHS[kind], body, headers)


def _batch(entry: Entry) -> Request:
    batch = decode(entry.read())
    headers = {
        **PACKED,
        "X-Correlation-Id": batch.opening["batch_id"],
    }
    return Request("/v1/samples", gzip.compress(batch.body(), _COMPRESSION), headers, batch)
