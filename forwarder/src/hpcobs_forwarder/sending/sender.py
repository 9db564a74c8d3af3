"""Sends the queued entries, oldest first, and carries out the decisions of the retry policy."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.sending.http_client import NoResponseError, TokenError
from hpcobs_forwarder.sending.requests import request_for
from hpcobs_forwarder.sending.retry_policy import Quarantine, Retry, Sent, decide
from hpcobs_forwarder.spool.batch import is_unborn
from hpcobs_forwarder.spool.entries import batch_name

if TYPE_CHECKING:
    import threading

    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.sending.http_client import HttpClient, TokenFile
    from hpcobs_forwarder.sending.requests import Request
    from hpcobs_forwarder.sending.retry_policy import Decision, Outcome, RetryState
    from hpcobs_forwarder.spool.batch import Batch
    from hpcobs_forwarder.spool.entries import Entry
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)

_LOG_AGAIN_SECONDS = 600.0
_NO_ROOM_SECONDS = 60.0
"""Pause for a batch that is too large, and of which the disk cannot hold the halves."""


class Sender:
    """Sends the entries of the spool until it is empty or the site fails."""

    def __init__(
        self,
        *,
        spool: Spool,
        client: HttpClient,
        token: TokenFile,
        state: RetryState,
        health: Health,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        """Create the sender. ``stopping`` ends a drain after the request in progress."""
        self._spool = spool
        self._client = client
        self._token = token
        self._state = state
        self._health = health
        self._clock = clock
        self._stopping = stopping
        self._throttle = LogThrottle(clock)

    def pause(self) -> float:
        """Return the seconds until the next drain may start. A new token ends a denial at once."""
        if self._state.denied and self._token.changed():
            self._state.end_entry_pauses()
            return 0.0
        return self._state.remaining(self._clock.uptime())

    def drain(self) -> bool:
        """Send the queued entries, events first. Return False if the site failed."""
        if self.pause() > 0:
            return False
        try:
            sent = all(self._stopping.is_set() or self._deliver(entry) for entry in self._due())
        finally:
            # One idle connection of each node would be thousands at the site.
            self._client.close()
        if not sent:
            self._spool.pack()
        return sent

    def _due(self) -> list[Entry]:
        """Return the entries that may be sent now: not paused, and not being posted by a hook."""
        # Events first: at the site, samples wait until the event of their job has arrived.
        waiting = [*self._spool.waiting_events(), *self._spool.waiting_batches()]
        self._state.keep(entry.key for entry in waiting)
        now, wall = self._clock.uptime(), self._clock.wall()
        return [
            entry
            for entry in waiting
            if self._state.allows(entry.key, now) and not entry.is_with_hook(wall)
        ]

    def _deliver(self, entry: Entry) -> bool:
        """Send one entry. Return False if all entries must wait."""
        request = self._request(entry)
        if request is None:
            return True
        decision = decide(entry, request, self._post(request), self._state)
        self._carry_out(entry, request, decision)
        return not (isinstance(decision, Retry) and decision.site_pause_seconds)

    def _request(self, entry: Entry) -> Request | None:
        """Return the request for the entry, or None if it cannot be sent."""
        try:
            return request_for(entry)
        except FileNotFoundError:
            pass  # its hook has sent it
        except OSError as error:
            self._throttle.warn(f"{entry.name} cannot be read: {error}")
        except ValueError as error:
            self._set_apart(entry, error)
        return None

    def _set_apart(self, entry: Entry, error: ValueError) -> None:
        """Move a damaged entry to the quarantine, or count it as lost if there is nothing in it."""
        try:
            is_empty = is_unborn(entry.raw())
        except OSError:
            return  # it has just been moved or removed
        if is_empty:
            self._spool.remove(entry)
            self._spool.dropped(entry, "damaged")
        else:
            self._spool.quarantine(entry, "damaged", str(error))

    def _post(self, request: Request) -> Outcome:
        try:
            headers = {"Authorization": f"Bearer {self._token.get()}", **request.headers}
            response = self._client.request("POST", request.path, request.body, headers)
        except TokenError as error:
            return error
        except NoResponseError as error:
            self._health.add("requests_total", label="0")
            return error
        self._health.add("requests_total", label=str(response.status))
        return response

    def _carry_out(self, entry: Entry, request: Request, decision: Decision) -> None:
        if isinstance(decision, Sent):
            self._sent(entry, request, decision.report)
        elif isinstance(decision, Retry):
            self._retry(entry, decision)
        elif isinstance(decision, Quarantine):
            self._spool.quarantine(entry, decision.label, decision.reason)
        elif request.batch is not None:
            self._split(entry, request.batch, decision.halves)

    def _sent(self, entry: Entry, request: Request, report: dict[str, Any]) -> None:
        self._state.succeed()
        self._throttle.recover()
        self._health.set("last_success_timestamp_seconds", self._clock.wall())
        self._spool.remove(entry)
        if request.batch is None:
            self._health.add("events_sent_total")
            _log_rejected(report)
        else:
            self._count_samples(entry, request.batch, report)

    def _count_samples(self, entry: Entry, batch: Batch, report: dict[str, Any]) -> None:
        self._count_lost(entry, batch)
        rejected = _objects(report, "rejected")
        accepted = report.get("accepted")
        if not isinstance(accepted, int):
            accepted = batch.samples - len(rejected)
        self._health.add("samples_sent_total", accepted)
        self._health.add("samples_rejected_total", batch.samples - accepted)
        if rejected:
            batch_id = batch.opening["batch_id"]
            _log.warning("the site rejects samples of batch %s: %s", batch_id, rejected[0])

    def _count_lost(self, entry: Entry, batch: Batch) -> None:
        if batch.damaged:
            _log.error("%s: %d damaged lines were left out", entry.name, batch.damaged)
            self._spool.quarantine_lines(entry, batch.lost)
        # Also without a damaged line: the end of the file may be missing.
        lost = max(entry.samples - batch.samples, 0)
        if lost:
            self._health.add("samples_dropped_total", lost, label="damaged")

    def _retry(self, entry: Entry, decision: Retry) -> None:
        self._state.wait(entry.key, decision, self._clock.uptime())
        pause = decision.site_pause_seconds
        if pause:  # else one entry waits for another, which is no failure
            queued = f"all entries stay in the spool, next attempt in {pause:.0f} s"
            self._throttle.fail(f"{decision.reason}; {queued}")
            self._spool.keep_for_later(entry)

    def _split(self, entry: Entry, batch: Batch, halves: tuple[bytes, bytes]) -> None:
        # The halves are new entries: the next drain sends them.
        half = batch.samples // 2
        names = [batch_name(entry.written_at, part) for part in (half, batch.samples - half)]
        if self._spool.replace(entry, tuple(zip(names, halves))):
            self._count_lost(entry, batch)
        else:
            wait = Retry("the disk has no room for the halves", _NO_ROOM_SECONDS)
            self._state.wait(entry.key, wait, self._clock.uptime())


class LogThrottle:
    """Logs a failure when it starts, then every ten minutes, then its end.

    Two failures are the same if their texts are equal up to the first colon.
    """

    def __init__(self, clock: Clock) -> None:
        """Start without failures."""
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._failing = False

    def warn(self, text: str) -> bool:
        """Log ``text`` unless it was logged in the last ten minutes. Return whether it was."""
        key = text.partition(":")[0]
        now = self._clock.uptime()
        if now - self._logged_at.get(key, -_LOG_AGAIN_SECONDS) < _LOG_AGAIN_SECONDS:
            return False
        self._logged_at[key] = now
        _log.warning("%s", text)
        return True

    def fail(self, text: str) -> None:
        """Log that the site does not accept entries, unless that was logged recently."""
        self._failing = self.warn(text) or self._failing

    def recover(self) -> None:
        """Log that the site accepts entries again, if a failure was logged before."""
        if self._failing:
            _log.info("the site accepts entries again")
            self._failing = False


def _log_rejected(report: dict[str, Any]) -> None:
    """Log the jobs and nodes that the site rejected in an event it accepted."""
    failed = [result for result in _objects(report, "results") if '"failed"' in result]
    nodes = _objects(report, "rejected_nodes")
    for kind, rejected in (("jobs", failed), ("nodes", nodes)):
        if rejected:
            _log.warning("the site rejects %d %s, the first: %s", len(rejected), kind, rejected[0])


def _objects(report: dict[str, Any], key: str) -> list[str]:
    """Return the objects listed under ``key`` as JSON, or none."""
    listed = report.get(key)
    return [json.dumps(one) for one in listed] if isinstance(listed, list) else []
