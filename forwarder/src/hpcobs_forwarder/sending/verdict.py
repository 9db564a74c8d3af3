"""What an answer means for the thing that was sent."""

from __future__ import annotations

import enum
from http import HTTPStatus


class Verdict(enum.Enum):
    """What to do after an answer."""

    ACCEPTED = "accepted"
    TOO_LARGE = "too large"
    REFUSED = "refused"
    NOT_YET = "not yet"
    CONFIGURATION = "configuration"
    RETRY = "retry"


_SUCCESS = range(200, 300)
_REDIRECTION = range(300, 400)
_CLIENT_ERROR = range(400, 500)
_WAIT = frozenset({408, 425, 429})
_CONFIGURATION = frozenset({401, 403, 404, 405, 407, 414, 421, 426, 431})


def verdict_of(status: int, *, finished: bool) -> Verdict:
    """The verdict for ``status``. ``finished``: the end of a job, whose 404 is "unknown job yet".

    What token, address or proxy bring about is nothing the batch could help: it waits for the
    administrator, as do redirections.
    """
    if status in _SUCCESS:
        return Verdict.ACCEPTED
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Verdict.TOO_LARGE
    if status == HTTPStatus.NOT_FOUND and finished:
        return Verdict.NOT_YET
    if status in _CONFIGURATION or status in _REDIRECTION:
        return Verdict.CONFIGURATION
    if status in _CLIENT_ERROR and status not in _WAIT:
        return Verdict.REFUSED
    return Verdict.RETRY
