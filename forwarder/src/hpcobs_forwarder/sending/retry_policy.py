"""Decides whether an entry is sent, retried, quarantined or split after an attempt to send it.

- 2xx from hpcobs: Sent.
- 401, 403, 404, 405, 407, 414, 421, 426, 431, 3xx, or 2xx from another server: Retry. All entries
  wait: no wrong token, address or proxy is the fault of an entry. A new token ends the wait.
- 403: also, this entry waits for 10 minutes. One forbidden entry does not block the others.
- 404 for the end of a job: its start is missing. Retry four times in 40 minutes, then Quarantine.
- 408, 425, 429, 5xx, no response: Retry. All entries wait, at least for ``Retry-After``.
- 500: also, Quarantine after eight failures of this entry alone.
- 413: Split, or Quarantine if there is nothing to split.
- Any other 4xx: Quarantine.
"""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from hpcobs_forwarder.sending.http_client import NoResponseError, Response, TokenError
from hpcobs_forwarder.spool.batch import halves

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from hpcobs_forwarder.sending.requests import Request
    from hpcobs_forwarder.spool.entries import Entry

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 300.0
_LONGEST_RETRY_AFTER_SECONDS = 3600.0
_UNKNOWN_JOB_PAUSES_SECONDS = (15.0, 60.0, 300.0, 1800.0)
_FORBIDDEN_PAUSE_SECONDS = 600.0
_SERVER_ERRORS_BEFORE_QUARANTINE = 8
_SERVER_ERROR_PAUSES_SECONDS = (60.0, 1800.0)


class Sent(NamedTuple):
    """The site has accepted the entry. Its ``report`` may reject some of the samples or jobs."""

    report: dict[str, Any]


class Retry(NamedTuple):
    """Send the entry again. ``site_pause_seconds`` holds back all entries, 0 only this one.

    ``denied`` means that a new token ends all pauses.
    """

    reason: str
    pause_seconds: float = 0.0
    site_pause_seconds: float = 0.0
    denied: bool = False


class Quarantine(NamedTuple):
    """The site will never accept the entry. ``label`` is for the counter."""

    label: str
    reason: str


class Split(NamedTuple):
    """The batch is too large. Send these two halves in its place."""

    halves: tuple[bytes, bytes]


Decision = Union[Sent, Retry, Quarantine, Split]
Outcome = Union[Response, NoResponseError, TokenError]


class RetryState:
    """Failures and pauses: of the site, and of each entry by its key.

    Times are on the interval clock.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        """Start without failures or pauses."""
        self._random = rng or random.Random()  # noqa: S311 - for spreading, not for secrets
        self.denied = False
        self._sent = 0
        self._site_failures = 0
        self._site_not_before = 0.0
        self._unknown_jobs: dict[str, int] = {}
        self._server_errors: dict[str, tuple[int, int, int]] = {}
        self._not_before: dict[str, float] = {}

    def remaining(self, now: float) -> float:
        """Return the seconds until the site may be tried again, or 0 without a pause."""
        return max(self._site_not_before - now, 0.0)

    def allows(self, key: str, now: float) -> bool:
        """Return whether this entry may be sent now."""
        return now >= self._not_before.get(key, 0.0)

    def count_site_failure(self, retry_after: float | None = None) -> float:
        """Count a failure of the site. Return the pause for all entries, in seconds.

        It doubles from 1 s to 5 minutes, and is not shorter than ``retry_after`` up to an hour.
        """
        # Jitter, also above Retry-After: a thousand nodes must not come back at the same moment.
        ceiling = min(
            _FIRST_PAUSE_SECONDS * 2.0 ** min(self._site_failures, 20), _LONGEST_PAUSE_SECONDS
        )
        self._site_failures += 1
        pause = self._random.uniform(ceiling / 2, ceiling)
        if retry_after is None:
            return pause
        least = min(max(retry_after, 0.0), _LONGEST_RETRY_AFTER_SECONDS)
        return max(pause, least * self._random.uniform(1.0, 1.1))

    def count_unknown_job(self, key: str) -> int:
        """Count a response that the entry's job is unknown. Return how many there were."""
        self._unknown_jobs[key] = self._unknown_jobs.get(key, 0) + 1
        return self._unknown_jobs[key]

    def count_server_error(self, key: str) -> tuple[int, int]:
        """Count a status 500 for the entry. Return how many there were, and how many of it alone.

        A failure is of the entry alone if the site has accepted others since the one before.
        """
        failures, alone, sent_before = self._server_errors.get(key, (0, 0, self._sent))
        counts = failures + 1, alone + (self._sent > sent_before)
        self._server_errors[key] = (*counts, self._sent)
        return counts

    def wait(self, key: str, retry: Retry, now: float) -> None:
        """Start the pauses of this decision."""
        if retry.pause_seconds:
            self._not_before[key] = now + retry.pause_seconds
        if retry.site_pause_seconds:
            self._site_not_before = now + retry.site_pause_seconds
            self.denied = retry.denied

    def succeed(self) -> None:
        """Count an accepted entry: the site works, so end its pause."""
        self.denied = False
        self._sent += 1
        self._site_failures = 0
        self._site_not_before = 0.0

    def end_entry_pauses(self) -> None:
        """Allow each entry to be sent at once."""
        self._not_before.clear()

    def keep(self, queued: Iterable[str]) -> None:
        """Forget all entries but the ``queued`` ones: the others were sent or dropped."""
        if not (self._unknown_jobs or self._server_errors or self._not_before):
            return  # the usual case: no set of 20,000 keys at each drain of a backlog
        keys = frozenset(queued)
        _forget(self._unknown_jobs, keys)
        _forget(self._server_errors, keys)
        _forget(self._not_before, keys)


def _forget(known: dict[str, Any], keys: Collection[str]) -> None:
    for key in known.keys() - keys:
        del known[key]


class _Attempt(NamedTuple):
    """A request that got a response."""

    entry: Entry
    request: Request
    response: Response
    state: RetryState

    @property
    def reason(self) -> str:
        """The response as one line for log and quarantine."""
        response = self.response
        moved = f" (moved to {response.location})" if response.location else ""
        return f"{self.request.path} responded {response.status}{moved}: {response.excerpt()}"


def decide(entry: Entry, request: Request, outcome: Outcome, state: RetryState) -> Decision:
    """Return the decision on ``entry``, whose ``request`` had this outcome. Count it in ``state``.

    The caller starts the pauses of a Retry by ``state.wait``.
    """
    if isinstance(outcome, Response):
        attempt = _Attempt(entry, request, outcome, state)
        return _rule(outcome.status, ends_job=request.ends_job)(attempt)
    if isinstance(outcome, TokenError):
        return _hold_all(state, f"no token: {outcome}", denied=True)
    # The site did not see the token, so a token that it denied before is still denied.
    return _hold_all(state, f"no response: {outcome}", denied=state.denied)


def _rule(status: int, *, ends_job: bool) -> Callable[[_Attempt], Decision]:
    if status == HTTPStatus.NOT_FOUND and ends_job:
        return _wait_for_start
    return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, _wait_for_site)


def _accept(attempt: _Attempt) -> Decision:
    report = attempt.response.json_object()
    if report.keys().isdisjoint({"status", "results"}):
        # A captive portal or a wrong server accepts everything with 200. Its data would be lost.
        reason = f"{attempt.reason} (not a response of hpcobs: check HPCOBS_URL)"
        retry_after = attempt.response.retry_after
        return _hold_all(attempt.state, reason, retry_after=retry_after, denied=True)
    return Sent(report)


def _split(attempt: _Attempt) -> Decision:
    batch = attempt.request.batch
    parts = None if batch is None else halves(batch)
    return _reject(attempt) if parts is None else Split(parts)


def _reject(attempt: _Attempt) -> Decision:
    return Quarantine(str(attempt.response.status), attempt.reason)


def _wait_for_start(attempt: _Attempt) -> Decision:
    # Start and end may come from the spools of different hosts: the end may arrive first.
    count = attempt.state.count_unknown_job(attempt.entry.key)
    if count > len(_UNKNOWN_JOB_PAUSES_SECONDS):
        return _reject(attempt)
    return Retry(attempt.reason, pause_seconds=_UNKNOWN_JOB_PAUSES_SECONDS[count - 1])


def _wait_for_administrator(attempt: _Attempt, pause_seconds: float = 0.0) -> Decision:
    return _hold_all(
        attempt.state,
        attempt.reason,
        pause_seconds=pause_seconds,
        retry_after=attempt.response.retry_after,
        denied=True,
    )


def _wait_for_permission(attempt: _Attempt) -> Decision:
    return _wait_for_administrator(attempt, _FORBIDDEN_PAUSE_SECONDS)


def _wait_for_site(attempt: _Attempt, pause_seconds: float = 0.0) -> Decision:
    return _hold_all(
        attempt.state,
        attempt.reason,
        pause_seconds=pause_seconds,
        retry_after=attempt.response.retry_after,
    )


def _wait_or_quarantine(attempt: _Attempt) -> Decision:
    failures, alone = attempt.state.count_server_error(attempt.entry.key)
    # Only failures between successes of others count: a site that fails on everything, however
    # long, proves nothing against one entry.
    if alone >= _SERVER_ERRORS_BEFORE_QUARANTINE:
        return _reject(attempt)
    first, longest = _SERVER_ERROR_PAUSES_SECONDS
    # From the second failure on the others go first.
    pause = min(first * 2.0**alone, longest) if failures > 1 else 0.0
    return _wait_for_site(attempt, pause)


def _hold_all(
    state: RetryState,
    reason: str,
    *,
    pause_seconds: float = 0.0,
    retry_after: float | None = None,
    denied: bool = False,
) -> Retry:
    return Retry(reason, pause_seconds, state.count_site_failure(retry_after), denied)


_BY_STATUS: dict[int, Callable[[_Attempt], Decision]] = {
    **dict.fromkeys((401, 404, 405, 407, 414, 421, 426, 431), _wait_for_administrator),
    **dict.fromkeys((408, 425, 429), _wait_for_site),
    403: _wait_for_permission,
    413: _split,
    500: _wait_or_quarantine,
}
_BY_CLASS: dict[int, Callable[[_Attempt], Decision]] = {
    2: _accept,
    3: _wait_for_administrator,
    4: _reject,
}
