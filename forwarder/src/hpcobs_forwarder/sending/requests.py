"""From an entry of the spool to the request that sends it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.spool.batch import Batch, decode
from hpcobs_forwarder.spool.entries import EVENT

if TYPE_CHECKING:
    from hpcobs_forwarder.spool.entries import Entry

PACKED = {"Content-Type": "application/vnd.hpcobs+json", "Content-Encoding": "gzip"}
"""API Gateway may convert a body of application/json to text, which destroys gzip. It passes bodies
of types that it does not know unchanged."""

_COMPRESSION = 4
_FINISHED = "/v1/events/job-finished"
_EVENT_PATHS = {
    "started": "/v1/events/job-started",
    "finished": _FINISHED,
    "jobs": "/v1/events/jobs",
}


class Request(NamedTuple):
    """A POST to the site. ``batch`` is its content, or None for an event."""

    path: str
    body: bytes
    headers: dict[str, str]
    batch: Batch | None = None

    @property
    def ends_job(self) -> bool:
        """True if it reports the end of a job."""
        return self.path == _FINISHED


def request_for(entry: Entry) -> Request:
    """Return the request that sends ``entry``.

    Raise OSError if the entry cannot be read, ValueError if it is damaged.
    """
    return _event(entry) if entry.kind == EVENT else _batch(entry)


def _event(entry: Entry) -> Request:
    # Job names come from users in any encoding. A replaced letter is better than a lost event.
    text = entry.read().decode("utf-8", errors="replace")
    try:
        event = json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    kind = entry.event_kind
    if kind not in _EVENT_PATHS:
        raise ValueError(f"{kind!r} is no kind of event")
    if not isinstance(event, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers catch it as damage
    body = gzip.compress(json.dumps(event).encode(), _COMPRESSION)
    return Request(_EVENT_PATHS[kind], body, dict(PACKED))


def _batch(entry: Entry) -> Request:
    batch = decode(entry.read())
    headers = {**PACKED, "X-Correlation-Id": batch.opening["batch_id"]}
    return Request("/v1/samples", gzip.compress(batch.body(), _COMPRESSION), headers, batch)
