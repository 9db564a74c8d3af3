"""Cursors: the end of a page of jobs, as an opaque text that a client sends for the next page."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.queries import Position
from hpcobs.domain.values import INT8_MAX

_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=320, pattern=r"^[^\x00]*$")]
_Transaction = Annotated[int, msgspec.Meta(ge=0, le=INT8_MAX)]


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A position as it is sent. A cursor of an earlier version has the first two fields only."""

    start_time: _Time
    job_id: _Id
    began: _Transaction | None = None
    moved_since: _Transaction | None = None


_DECODER = msgspec.json.Decoder(_Cursor)
# PostgreSQL and Python both hold these, in every time zone.
_YEARS = range(1900, 2301)


def encode(position: Position) -> str:
    """Return the cursor of a position."""
    start_time = position.start_time.astimezone(UTC)
    content = msgspec.json.encode(
        _Cursor(start_time, position.job_id, position.began, position.moved_since)
    )
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def decode(cursor: str) -> Position:
    """Return the position of a cursor. Raise InvalidInputError if the service did not issue it."""
    # A cursor is not signed. It selects no more than a filter by time does, and the viewer's own
    # jobs only, so a forged one gains nothing. But it must not break the query.
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = _DECODER.decode(content)
    except (binascii.Error, ValueError):
        raise _not_issued() from None
    if found.start_time.year not in _YEARS:
        raise _not_issued()
    return Position(found.start_time, found.job_id, found.began, found.moved_since)


def _not_issued() -> InvalidInputError:
    return InvalidInputError("cursor", "is not a cursor of this service")
