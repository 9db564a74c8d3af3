"""The retry policy as a table: status and kind of entry → decision. No sockets, no disk."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs_forwarder.sending.http_client import NoResponseError, Response, TokenError
from hpcobs_forwarder.sending.requests import request_for
from hpcobs_forwarder.sending.retry_policy import (
    Quarantine,
    Retry,
    RetryState,
    Sent,
    Split,
    decide,
)
from hpcobs_forwarder.spool.batch import decode, opening_line, samples_line
from hpcobs_forwarder.spool.entries import Entry
from tests.forwarder.properties import patient

if TYPE_CHECKING:
    from hpcobs_forwarder.sending.retry_policy import Decision, Outcome

QUEUED = b'{"status": "queued"}'


def entry(kind: str) -> Entry:
    """Return an entry in memory: a batch of two samples or of one, or an event."""
    if kind in {"batch", "sample"}:
        rows: list[dict[str, Any]] = [{"job_id": "7"}] * (2 if kind == "batch" else 1)
        data = opening_line("n1", None) + samples_line(rows)
        return Entry(f"1800000000000-{len(rows)}-a.batch", "", len(data), 0.0, data)
    return Entry(f"1800000000000-7-1.{kind}.json", "", 2, 0.0, b"{}")


def attempt(kind: str, outcome: Outcome, state: RetryState) -> Decision:
    sent = entry(kind)
    return decide(sent, request_for(sent), outcome, state)


def response(status: int, body: bytes = QUEUED, retry_after: float | None = None) -> Response:
    return Response(status, body, retry_after)


SENT, RETRY_ALL, RETRY_DENIED, RETRY_ONE, QUARANTINE, SPLIT = (
    "sent",
    "retry: all wait",
    "retry: all wait for a new token",
    "retry: this entry waits",
    "quarantine",
    "split",
)
KINDS = ("batch", "sample", "started", "finished", "jobs")


def label(decision: Decision) -> str:
    if isinstance(decision, Retry):
        if not decision.site_pause_seconds:
            return RETRY_ONE
        return RETRY_DENIED if decision.denied else RETRY_ALL
    names = {Sent: SENT, Quarantine: QUARANTINE, Split: SPLIT}
    return names[type(decision)]


TABLE = {
    **dict.fromkeys((200, 202, 207, 299), (SENT,) * 5),
    **dict.fromkeys((100, 408, 425, 429, 500, 501, 502, 503, 504, 507, 599), (RETRY_ALL,) * 5),
    **dict.fromkeys((301, 302, 307, 308, 401, 403, 405, 407, 414, 421, 426, 431),
                    (RETRY_DENIED,) * 5),
    404: (RETRY_DENIED, RETRY_DENIED, RETRY_DENIED, RETRY_ONE, RETRY_DENIED),
    413: (SPLIT, QUARANTINE, QUARANTINE, QUARANTINE, QUARANTINE),
    **dict.fromkeys((400, 402, 406, 409, 410, 411, 415, 422, 423, 451, 499), (QUARANTINE,) * 5),
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [(status, kind, row[n]) for status, row in TABLE.items() for n, kind in enumerate(KINDS)],
)
def test_status_and_kind_determine_decision(status: int, kind: str, expected: str) -> None:
    assert label(attempt(kind, response(status), RetryState())) == expected


def test_unlisted_status_is_decided_by_its_class() -> None:
    by_class = {1: RETRY_ALL, 2: SENT, 3: RETRY_DENIED, 4: QUARANTINE, 5: RETRY_ALL}

    for status in set(range(100, 600)) - set(TABLE):
        decision = attempt("batch", response(status), RetryState())
        assert label(decision) == by_class[status // 100], status


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"", b"[]", b"{}", b"[" * 9999])
def test_success_of_another_server_is_retried(body: bytes) -> None:
    decision = attempt("batch", response(200, body), RetryState())

    assert label(decision) == RETRY_DENIED
    assert isinstance(decision, Retry)
    assert "check HPCOBS_URL" in decision.reason


def test_sent_carries_report() -> None:
    report = {"status": "queued", "accepted": 1, "rejected": [{"position": 0}]}

    decision = attempt("batch", response(202, json.dumps(report).encode()), RetryState())

    assert decision == Sent(report)


def test_quarantine_carries_status_and_reason() -> None:
    decision = attempt("started", response(400, b'{"error":\n"bad"}'), RetryState())

    expected = '/v1/events/job-started responded 400: {"error": "bad"}'
    assert decision == Quarantine("400", expected)


def test_split_carries_both_halves() -> None:
    decision = attempt("batch", response(413), RetryState())

    assert isinstance(decision, Split)
    assert [decode(half).samples for half in decision.halves] == [1, 1]


def test_missing_token_holds_all_until_new_one() -> None:
    decision = attempt("batch", TokenError("no file"), RetryState())

    assert label(decision) == RETRY_DENIED
    assert isinstance(decision, Retry)
    assert decision.reason == "no token: no file"


@pytest.mark.parametrize("denied", [False, True])
def test_no_response_leaves_denial_unchanged(denied: bool) -> None:
    state = RetryState()
    state.denied = denied

    assert label(attempt("batch", NoResponseError("timeout"), state)) == (
        RETRY_DENIED if denied else RETRY_ALL
    )


def test_redirection_names_its_target() -> None:
    moved = Response(301, b"", location="https://other.example.org/")

    decision = attempt("batch", moved, RetryState())

    assert isinstance(decision, Retry)
    assert "responded 301 (moved to https://other.example.org/)" in decision.reason


def test_forbidden_entry_waits_ten_minutes() -> None:
    decision = attempt("started", response(403), RetryState())

    assert isinstance(decision, Retry)
    assert decision.pause_seconds == 600


def test_end_without_start_is_retried_four_times() -> None:
    state = RetryState()

    decisions = [attempt("finished", response(404), state) for _ in range(5)]

    pauses = [retry.pause_seconds for retry in decisions if isinstance(retry, Retry)]
    assert pauses == [15, 60, 300, 1800]
    assert label(decisions[-1]) == QUARANTINE


def test_server_error_alone_is_quarantined_after_eight() -> None:
    state = RetryState()
    decisions: list[Decision] = []
    while not decisions or label(decisions[-1]) != QUARANTINE:
        decisions.append(attempt("started", response(500), state))
        state.succeed()

    pauses = [retry.pause_seconds for retry in decisions if isinstance(retry, Retry)]
    assert pauses == [0, 120, 240, 480, 960, 1800, 1800, 1800]


def test_server_error_of_all_is_never_quarantined() -> None:
    state = RetryState()

    decisions = {label(attempt("started", response(500), state)) for _ in range(1000)}

    assert decisions == {RETRY_ALL}


def test_sent_or_dropped_entries_are_forgotten() -> None:
    state = RetryState()
    sent = entry("finished")
    for _ in range(2):
        decision = attempt("finished", response(404), state)
        assert isinstance(decision, Retry)
        state.wait(sent.key, decision, now=0.0)
        assert not state.allows(sent.key, 1.0)
        state.keep([])
        assert state.allows(sent.key, 1.0)
        assert decision.pause_seconds == 15


@patient
@given(st.integers(), st.integers(1, 60))
def test_pauses_grow_to_five_minutes(seed: int, failures: int) -> None:
    state = RetryState(random.Random(seed))
    pauses = [state.count_site_failure() for _ in range(failures)]

    for attempt_number, pause in enumerate(pauses):
        ceiling = min(2.0**attempt_number, 300)
        assert ceiling / 2 <= pause <= ceiling


@patient
@given(st.floats(0, 1e9), st.integers())
def test_retry_after_is_honoured_within_an_hour(seconds: float, seed: int) -> None:
    pause = RetryState(random.Random(seed)).count_site_failure(seconds)

    assert min(seconds, 3600) <= pause <= 3960


def test_nodes_that_fail_together_return_apart() -> None:
    pauses = {RetryState(random.Random(seed)).count_site_failure(60) for seed in range(100)}

    assert max(pauses) - min(pauses) > 3


def test_success_ends_site_pause() -> None:
    state = RetryState()
    state.wait("a", Retry("down", site_pause_seconds=5.0), now=100.0)
    assert state.remaining(100.0) == 5

    state.succeed()

    assert state.remaining(100.0) == 0
