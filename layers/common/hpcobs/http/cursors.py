"""Cursors: the end of a page of jobs, as an opaque text that a client sends for the next page."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.queries import Position

_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=320, pattern=r"^[^\x00]*$")]
_DECODER = msgspec.json.Decoder(tuple[_Time, _Id])
# PostgreSQL and Python both hold these, in every time zone.
_YEARS = range(1900, 2301)


def encode(position: Position) -> str:
    """Return the cursor of a position."""
    content = msgspec.json.encode((position.start_time.astimezone(UTC), position.job_id))
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def decode(cursor: str) -> Position:
    """Return the position of a cursor. Raise InvalidInputError if the service did not issue it."""
    # A cursor is not signed. It selects no more than a filter by time does, and the viewer's own
    # jobs only, so a forged one gains nothing. But it must not break the query.
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        start_time, job_id = _DECODER.decode(content)
    except (binascii.Error, ValueError):
        raise _not_issued() from None
    if start_time.year not in _YEARS:
        raise _not_issued()
    return Position(start_time, job_id)


def _not_issued() -> InvalidInputError:
    return InvalidInputError("cursor", "is not a cursor of this service")
