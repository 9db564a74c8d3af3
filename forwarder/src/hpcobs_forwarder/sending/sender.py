"""Sends what waits, oldest first, and decides what becomes of what does not arrive."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from hpcobs_forwarder.sending import answers
from hpcobs_forwarder.sending.gateway import Answer, GatewayError
from hpcobs_forwarder.sending.patience import Patience
from hpcobs_forwarder.sending.requests import Request, request_for
from hpcobs_forwarder.sending.token import TokenError
from hpcobs_forwarder.sending.troubles import Troubles
from hpcobs_forwarder.sending.verdict import Verdict, verdict_of
from hpcobs_forwarder.spool.batch import halves
from hpcobs_forwarder.spool.entries import EVENT, batch_name
from hpcobs_forwarder.spool.ids import new_uuid

if TYPE_CHECKING:
    import threading

    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.health import Health
    from hpcobs_forwarder.sending.backoff import Backoff
    from hpcobs_forwarder.sending.gateway import Gateway
    from hpcobs_forwarder.sending.token import TokenFile
    from hpcobs_forwarder.spool.batch import Batch
    from hpcobs_forwarder.spool.entries import Entry
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)

HOOK_SECONDS = 5.0
"""How long an event is left to its hook, which is sending it too."""

_UNKNOWN_JOB_PAUSES_SECONDS = (15.0, 60.0, 300.0, 1800.0)
_FORBIDDEN_PAUSE_SECONDS = 600.0
_SERVER_ERRORS_BEFORE_QUARANTINE = 8
_SERVER_ERROR_PAUSES_SECONDS = (60.0, 1800.0)


class Sender:
    """Empties the spool while the site accepts; one failure pauses everything."""

    def __init__(
        self,
        *,
        spool: Spool,
        gateway: Gateway,
        token: TokenFile,
        backoff: Backoff,
        health: Health,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        """Nothing is sent yet. ``stopping`` ends a drain after the request in progress."""
        self._spool = spool
        self._gateway = gateway
        self._token = token
        self._backoff = backoff
        self._health = health
        self._clock = clock
        self._stopping = stopping
        self._denied = False
        self._patience = Patience()
        self._troubles = Troubles(clock)
        self._arrived = 0

    def pause(self) -> float:
        """Seconds until the next attempt is allowed; a new token ends a refusal at once."""
        if self._denied and self._token.changed():
            self._patience.end_pauses()
            return 0.0
        return self._backoff.remaining(self._clock.uptime())

    def drain(self) -> bool:
        """Sends what waits, events first; False if something must be tried again."""
        if self.pause() > 0:
            return False
        try:
            sent = all(self._stopping.is_set() or self._deliver(entry) for entry in self._due())
        finally:
            self._gateway.close()
        if not sent:
            self._spool.pack()
        return sent

    def _due(self) -> list[Entry]:
        """What may be sent now, but for what its hook is sending and what must wait."""
        waiting = [*self._spool.waiting_events(), *self._spool.waiting_batches()]
        self._patience.keep(entry.key for entry in waiting)
        now, wall = self._clock.uptime(), self._clock.wall()
        return [
            entry
            for entry in waiting
            if self._patience.allows(entry.key, now)
            and not (entry.from_hook and 0 <= wall - entry.written_at < HOOK_SECONDS)
        ]

    def _deliver(self, entry: Entry) -> bool:
        """Sends one thing; False if everything must pause."""
        try:
            request = request_for(entry)
        except FileNotFoundError:
            return True  # its hook has sent it
        except OSError as error:
            self._troubles.say(f"{entry.name} cannot be read: {error}")
            return True
        except ValueError as error:
            self._spool.quarantine(entry, "damaged", str(error))
            return True
        try:
            answer = self._post(request)
        except GatewayError as error:
            return self._failed(entry, f"no answer: {error}")
        except TokenError as error:
            self._denied = True
            return self._failed(entry, f"no token: {error}")
        return self._settle(entry, request, answer)

    def _post(self, request: Request) -> Answer:
        headers = {"Authorization": f"Bearer {self._token.get()}", **request.headers}
        try:
            answer = self._gateway.request("POST", request.path, request.body, headers)
        except GatewayError:
            self._health.add("requests_total", label="0")
            raise
        self._health.add("requests_total", label=str(answer.status))
        return answer

    def _settle(self, entry: Entry, request: Request, answer: Answer) -> bool:
        verdict = verdict_of(answer.status, finished=request.finished)
        told = f"{request.path} answered {answer.status}{_moved(answer)}: "
        told += answers.text(answer.body)
        if verdict is Verdict.ACCEPTED and not answers.is_a_sites(answer.body):
            verdict = Verdict.CONFIGURATION
            told += " (no answer of hpcobs: is HPCOBS_URL right?)"
        if verdict is Verdict.ACCEPTED:
            self._accepted(entry, request, answer)
        elif verdict is Verdict.TOO_LARGE:
            self._split(entry, request, told)
        elif verdict is Verdict.NOT_YET:
            self._wait_for_job(entry, told)
        elif verdict is Verdict.REFUSED or self._is_poison(entry, answer):
            self._spool.quarantine(entry, str(answer.status), told)
        else:
            self._denied = verdict is Verdict.CONFIGURATION
            if answer.status == HTTPStatus.FORBIDDEN:  # perhaps only this one: others go first
                self._patience.pause(entry.key, self._clock.uptime() + _FORBIDDEN_PAUSE_SECONDS)
            return self._failed(entry, told, answer.retry_after)
        return True

    def _accepted(self, entry: Entry, request: Request, answer: Answer) -> None:
        self._denied = False
        self._arrived += 1
        self._backoff.succeeded()
        self._troubles.end()
        self._health.set("last_success_timestamp_seconds", self._clock.wall())
        self._spool.remove(entry)
        if request.batch is None:
            self._health.add("events_sent_total")
            _say_what_was_not_taken(answer)
            return
        self._notice_damage(entry, request.batch)
        rejected = answers.objects(answer.body, "rejected")
        sent = request.batch.samples
        accepted = answers.number(answer.body, "accepted", sent - len(rejected))
        self._health.add("samples_sent_total", accepted)
        self._health.add("samples_rejected_total", sent - accepted)
        if rejected:
            batch_id = request.batch.opening["batch_id"]
            _log.warning("the site rejects samples of batch %s: %s", batch_id, rejected[0])

    def _split(self, entry: Entry, request: Request, told: str) -> None:
        """Two halves take the place of a batch that is too large; they are sent next time."""
        parts = halves(request.batch) if request.batch is not None else None
        if request.batch is None or parts is None:
            self._spool.quarantine(entry, "413", told)
            return
        count = request.batch.samples
        names = [
            batch_name(entry.written_at, part, new_uuid()[:8])
            for part in (count // 2, count - count // 2)
        ]
        self._spool.replace(entry, tuple(zip(names, parts)))

    def _wait_for_job(self, entry: Entry, told: str) -> None:
        """An end whose start has not come: a few more attempts, then the quarantine."""
        attempt = self._patience.tried(entry.key)
        if attempt > len(_UNKNOWN_JOB_PAUSES_SECONDS):
            self._spool.quarantine(entry, "404", told)
            return
        pause = _UNKNOWN_JOB_PAUSES_SECONDS[attempt - 1]
        self._patience.pause(entry.key, self._clock.uptime() + pause)

    def _is_poison(self, entry: Entry, answer: Answer) -> bool:
        """Whether the site breaks on this very thing, again and again, while others arrive.

        From the second time on the others go first. A site that breaks on everything says nothing
        of one thing, however long that lasts.
        """
        if answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        failures, alone = self._patience.broke(entry.key, self._arrived)
        if failures > 1:
            first, longest = _SERVER_ERROR_PAUSES_SECONDS
            pause = min(first * 2.0**alone, longest)
            self._patience.pause(entry.key, self._clock.uptime() + pause)
        return alone >= _SERVER_ERRORS_BEFORE_QUARANTINE

    def _failed(self, entry: Entry, told: str, retry_after: float | None = None) -> bool:
        pause = self._backoff.failed(self._clock.uptime(), retry_after)
        waits = f"everything waits in the spool, next attempt in {pause:.0f} s"
        self._troubles.begin(f"{told}; {waits}")
        if entry.kind == EVENT:
            return False
        if entry.samples:
            self._spool.compress(entry)
        elif entry.data is not None:
            self._spool.remove(entry)  # only the host's word of a moment that has passed
        return False

    def _notice_damage(self, entry: Entry, batch: Batch) -> None:
        if batch.damaged:
            _log.error("%s: %d damaged lines were left out", entry.name, batch.damaged)
            lost = max(entry.samples - batch.samples, 0)
            self._health.add("samples_dropped_total", lost, label="damaged")


def _moved(answer: Answer) -> str:
    return f" (moved to {answer.location})" if answer.location else ""


def _say_what_was_not_taken(answer: Answer) -> None:
    """The site answers for each job and node by itself."""
    failed = [one for one in answers.objects(answer.body, "results") if '"failed"' in one]
    nodes = answers.objects(answer.body, "rejected_nodes")
    for what, refused in (("jobs", failed), ("nodes", nodes)):
        if refused:
            _log.warning("%d %s were not taken, the first: %s", len(refused), what, refused[0])
