"""The sender with a real spool and real HTTP: which entries arrive, wait, or are quarantined."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.sending.http_client import HttpClient, TokenFile
from hpcobs_forwarder.sending.requests import request_for
from hpcobs_forwarder.sending.retry_policy import RetryState
from hpcobs_forwarder.sending.sender import Sender
from hpcobs_forwarder.spool.batch import opening_line
from hpcobs_forwarder.spool.entries import batch_name
from hpcobs_forwarder.spool.journal import BatchWriter
from tests.forwarder.fake_site import Reply, Site
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool
    from tests.forwarder.clocks import FakeClock

STARTED, FINISHED = "/v1/events/job-started", "/v1/events/job-finished"


class Sending:
    """A sender with its parts, and methods that fill its spool."""

    def __init__(
        self,
        spool: Spool,
        site: Site,
        health: Health,
        clock: FakeClock,
        *,
        timeout_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.spool, self.site, self.health, self.clock = spool, site, health, clock
        self.token = Path(spool.folder, "token")
        self.token.write_text("first\n")
        self.writer = BatchWriter(spool, "n1", clock)
        self.sender = Sender(
            spool=spool,
            client=HttpClient(site.url, timeout_seconds=timeout_seconds),
            token=TokenFile(str(self.token)),
            state=RetryState(random.Random(1)),
            health=health,
            clock=clock,
            stopping=threading.Event(),
        )

    def batch(self, samples: int = 2) -> None:
        rows: list[dict[str, Any]] = [{"job_id": str(number)} for number in range(samples)]
        self.writer.add(rows, {"cpus": 8}, None)
        self.writer.seal(None)
        self.clock.advance(30)

    def event(self, kind: str, job_id: int, text: str | None = None) -> None:
        name = f"{int(self.clock.now * 1000)}-{job_id}-99.{kind}.json"
        Path(self.spool.events, name).write_text(text or json.dumps({"job_id": str(job_id)}))
        self.clock.advance(10)

    def queued(self) -> int:
        return len(self.spool.waiting_batches()) + len(self.spool.waiting_events())

    def quarantined(self) -> list[str]:
        return sorted(path.name for path in Path(self.spool.quarantined).iterdir())

    def later(self) -> bool:
        """Wait for the end of the pause, then drain."""
        self.clock.advance(self.sender.pause())
        return self.sender.drain()


@pytest.fixture
def sending(spool: Spool, site: Site, health: Health, clock: FakeClock) -> Sending:
    return Sending(spool, site, health, clock)


def test_batch_arrives_gzipped_with_token_and_id(sending: Sending) -> None:
    sending.batch(3)

    assert sending.sender.drain()

    (received,) = sending.site.received
    assert received.path == "/v1/samples"
    assert received.headers["Authorization"] == "Bearer first"
    assert received.headers["Content-Encoding"] == "gzip"
    assert received.headers["X-Correlation-Id"] == received.body["batch_id"]
    assert len(received.body["samples"]) == 3
    assert sending.queued() == 0
    assert sending.health.value("samples_sent_total") == 3
    assert sending.health.value("last_success_timestamp_seconds") == sending.clock.now


def test_events_are_sent_first_in_order(sending: Sending) -> None:
    sending.batch()
    sending.event("started", 1)
    sending.event("finished", 1)
    sending.batch()

    assert sending.sender.drain()

    paths = [received.path for received in sending.site.received]
    assert paths == [STARTED, FINISHED, "/v1/samples", "/v1/samples"]
    assert sending.queued() == 0
    assert sending.health.value("events_sent_total") == 2


def test_new_event_is_left_to_its_hook(sending: Sending) -> None:
    sending.event("started", 1)
    sending.clock.advance(-8)
    sending.sender.drain()
    assert sending.site.received == []

    sending.clock.advance(8)
    sending.sender.drain()
    assert sending.queued() == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408])
def test_entries_arrive_after_temporary_failure(sending: Sending, status: int) -> None:
    sending.batch(1)
    sending.batch(2)
    sending.site.planned = [Reply(status)]

    assert not sending.sender.drain()
    assert len(sending.site.received) == 1
    assert sending.queued() == 2
    assert not sending.sender.drain()
    assert len(sending.site.received) == 1, "no attempt before the end of the pause"

    assert sending.later()
    assert [len(body["samples"]) for body in sending.site.accepted()] == [1, 2]


@pytest.mark.parametrize("reply", [Reply(429, headers=(("Retry-After", "120"),))])
def test_retry_after_is_the_shortest_pause(sending: Sending, reply: Reply) -> None:
    sending.batch()
    sending.site.planned = [reply]

    sending.sender.drain()

    assert 120 <= sending.sender.pause() <= 132


def test_delayed_batch_is_compressed_under_same_id(sending: Sending) -> None:
    sending.batch()
    sending.site.planned = [Reply(503)]
    sending.sender.drain()
    assert sending.spool.waiting_batches()[0].name.endswith(".gz")

    sending.later()

    first, second = sending.site.received
    assert first.body["batch_id"] == second.body["batch_id"]


def test_batches_of_an_outage_arrive_in_order(
    sending: Sending,
) -> None:
    sending.site.usual = Reply(503)
    for number in range(120):
        sending.batch(number % 3 + 1)
        sending.sender.drain()
    attempts = len(sending.site.received)
    packed = [entry for entry in sending.spool.waiting_batches() if entry.name.endswith(".gz")]
    assert len(packed) > 100, "batches older than one pause are compressed"
    sending.site.usual = Reply()

    assert sending.later()

    sizes = [len(body["samples"]) for body in sending.site.accepted()]
    assert sizes == [number % 3 + 1 for number in range(120)]
    assert attempts < 40, "pauses limit the attempts"
    assert sending.health.value("samples_sent_total") == 240


@pytest.mark.parametrize("status", [400, 415, 422])
def test_rejected_batch_is_quarantined_others_are_sent(sending: Sending, status: int) -> None:
    sending.batch(1)
    sending.batch(2)
    sending.site.planned = [Reply(status, '{"error": "validation_error"}')]

    assert sending.sender.drain()

    assert sending.queued() == 0
    refused, reason = sending.quarantined()
    assert refused.endswith(".batch")
    assert "validation_error" in Path(sending.spool.quarantined, reason).read_text()
    assert sending.health.value("quarantined_total", str(status)) == 1


def test_too_large_batch_arrives_in_parts(sending: Sending) -> None:
    sending.site.largest_batch = 3
    sending.batch(10)

    for _ in range(6):
        sending.sender.drain()

    names = [sample["job_id"] for body in sending.site.accepted() for sample in body["samples"]]
    assert sorted(names, key=int) == [str(number) for number in range(10)]
    assert sending.queued() == 0
    assert sending.quarantined() == []


def test_too_large_sample_is_quarantined(sending: Sending) -> None:
    sending.site.largest_batch = 0
    sending.batch(1)

    sending.sender.drain()

    assert sending.queued() == 0
    assert len(sending.quarantined()) == 2


@pytest.mark.parametrize("status", [401, 404, 302, 407, 414, 421, 431])
def test_batch_waits_while_token_or_address_wrong(sending: Sending, status: int) -> None:
    sending.batch()
    sending.site.usual = Reply(status)

    for _ in range(12):
        assert not sending.later()

    assert sending.queued() == 1
    assert sending.quarantined() == []


def test_forbidden_event_does_not_block_others(sending: Sending) -> None:
    sending.event("started", 7)
    sending.batch()
    sending.site.by_path[STARTED] = Reply(403)

    assert not sending.sender.drain()
    assert sending.later()

    assert len(sending.site.accepted()) == 1
    assert sending.queued() == 1
    assert sending.quarantined() == []
    sending.site.by_path.clear()
    sending.clock.advance(600)
    assert sending.sender.drain()
    assert sending.queued() == 0


def test_new_token_is_used_at_once(sending: Sending) -> None:
    sending.batch()
    sending.site.planned = [Reply(401)]
    sending.sender.drain()
    assert sending.sender.pause() > 0
    sending.token.write_text("second\n")

    assert sending.sender.drain()

    assert sending.site.received[-1].headers["Authorization"] == "Bearer second"


def test_batch_waits_while_token_is_missing(sending: Sending) -> None:
    sending.token.unlink()
    sending.batch()
    assert not sending.sender.drain()
    assert sending.site.received == []
    sending.token.write_text("new\n")

    assert sending.sender.drain()


def test_batch_waits_while_token_has_control_character(
    sending: Sending, caplog: pytest.LogCaptureFixture
) -> None:
    sending.token.write_bytes(b"fir\x00st\n")
    sending.batch()
    assert not sending.sender.drain()
    assert sending.site.received == []
    assert f"the token in {sending.token} contains a control character" in caplog.text
    sending.token.write_text("new\n")

    assert sending.sender.drain()


def test_rejected_samples_are_counted_and_logged(
    sending: Sending, caplog: pytest.LogCaptureFixture
) -> None:
    sending.batch(5)
    rejected = [{"position": 3, "message": "timestamp in the future"}]
    answer = {"status": "queued", "accepted": 3, "rejected": rejected}
    sending.site.planned = [Reply(202, json.dumps(answer))]

    sending.sender.drain()

    assert sending.health.value("samples_rejected_total") == 2
    assert sending.health.value("samples_sent_total") == 3
    assert "timestamp in the future" in caplog.text


def test_end_of_unknown_job_is_retried_then_quarantined(sending: Sending) -> None:
    sending.event("finished", 7)
    sending.batch()
    sending.site.by_path[FINISHED] = Reply(404)

    for _ in range(6):
        assert sending.sender.drain(), "other entries do not wait for it"
        sending.clock.advance(3600)

    assert len(sending.site.bodies(FINISHED)) == 5
    assert len(sending.quarantined()) == 2
    assert len(sending.site.accepted()) == 1


def test_end_arrives_after_its_start(sending: Sending) -> None:
    sending.event("finished", 7)
    sending.site.planned = [Reply(404)]
    sending.sender.drain()
    sending.sender.drain()
    assert sending.queued() == 1
    sending.clock.advance(16)

    sending.sender.drain()

    assert sending.queued() == 0


def test_entry_with_server_errors_does_not_block_others(sending: Sending) -> None:
    sending.event("started", 7)
    sending.batch()
    sending.site.by_path[STARTED] = Reply(500)

    for _ in range(3):
        sending.later()

    assert len(sending.site.accepted()) == 1
    assert sending.queued() == 1


def test_entry_with_server_errors_alone_is_quarantined(
    sending: Sending,
) -> None:
    sending.event("started", 7)
    sending.site.by_path[STARTED] = Reply(500)

    for _ in range(12):
        sending.batch()
        sending.later()
        sending.clock.advance(1800)
        sending.later()

    assert sending.queued() == 0
    assert len(sending.quarantined()) == 2
    assert len(sending.site.accepted()) == 12


def test_site_failing_for_days_costs_no_entry(sending: Sending) -> None:
    sending.site.usual = Reply(500, '{"message": "Internal Server Error"}')
    for _ in range(3):
        sending.event("started", 7)
        sending.batch()
    for _ in range(600):
        sending.later()
    assert sending.quarantined() == []
    sending.site.usual = Reply()

    for _ in range(3):
        sending.later()
        sending.clock.advance(60)

    assert sending.queued() == 0
    assert len(sending.site.accepted()) == 3


@pytest.mark.parametrize(
    "body", ["<html>Welcome to our network</html>", "", "[]", "{}", "[" * 9999]
)
def test_success_of_another_server_does_not_count(
    sending: Sending, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    sending.batch()
    sending.site.planned = [Reply(200, body)]

    assert not sending.sender.drain()
    assert sending.queued() == 1
    assert "check HPCOBS_URL" in caplog.text

    assert sending.later()
    assert sending.health.value("samples_sent_total") == 2


def test_redirection_target_is_logged(sending: Sending, caplog: pytest.LogCaptureFixture) -> None:
    sending.batch()
    sending.site.planned = [Reply(301, headers=(("Location", "https://other.example.org/"),))]

    assert not sending.sender.drain()

    assert "responded 301 (moved to https://other.example.org/)" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', "\0\0\0", "[" * 100_000])
def test_damaged_event_is_quarantined(sending: Sending, text: str) -> None:
    sending.event("started", 7, text=text or " ")
    sending.event("started", 8)

    assert sending.sender.drain()

    assert sending.site.bodies(STARTED) == [{"job_id": "8"}]
    assert len(sending.quarantined()) == 2


def test_event_in_other_encoding_is_sent(sending: Sending) -> None:
    name = f"{int(sending.clock.now * 1000)}-7-1.started.json"
    Path(sending.spool.events, name).write_bytes(b'{"job_id": "7", "name": "caf\xe9"}')
    sending.clock.advance(10)

    sending.sender.drain()

    assert sending.site.bodies(STARTED) == [{"job_id": "7", "name": "caf\ufffd"}]


def test_damaged_batch_is_quarantined_damaged_line_skipped(sending: Sending) -> None:
    sending.batch(2)
    (whole,) = sending.spool.waiting_batches()
    lines = Path(whole.path).read_bytes().split(b"\n")
    Path(whole.path).write_bytes(b"\n".join([lines[0], lines[1][:-2] + b"zz", *lines[2:]]))
    Path(sending.spool.samples, batch_name(0, 1)).write_bytes(b"\0" * 100)
    Path(sending.spool.samples, batch_name(1, 1) + ".gz").write_bytes(b"\0" * 100)

    assert sending.sender.drain()

    assert [body["samples"] for body in sending.site.accepted()] == [[]]
    assert sending.health.value("samples_dropped_total", "damaged") == 2
    assert len(sending.quarantined()) == 5
    (kept,) = Path(sending.spool.quarantined).glob("*.lines")
    assert kept.read_bytes().startswith(b"S ")


@pytest.mark.parametrize("packed", [False, True])
def test_batch_damaged_at_any_byte_loses_only_damage(sending: Sending, packed: bool) -> None:
    sending.batch(2)
    if packed:
        sending.spool.pack()
    (entry,) = sending.spool.waiting_batches()
    whole = entry.read()
    data = Path(entry.path).read_bytes()
    damaged = [data[:position] for position in range(len(data))]
    damaged += [
        data[:position] + bytes([byte ^ 0x55]) + data[position + 1 :]
        for position, byte in enumerate(data)
    ]

    for content in damaged:
        Path(entry.path).write_bytes(content)
        try:
            body = json.loads(gzip.decompress(request_for(entry).body))
        except ValueError:
            continue
        assert entry.read() == whole or len(body["samples"]) in {0, 2}


def test_event_damaged_at_any_byte_raises_only_valueerror(sending: Sending) -> None:
    sending.event("finished", 7, text='{"job_id": "7", "exit_code": 0, "name": "caf\\u00e9"}')
    (entry,) = sending.spool.waiting_events()
    data = Path(entry.path).read_bytes()

    for position in range(len(data)):
        for byte in (0x00, 0x22, 0x5B, 0x7B, 0x80, 0xFF):
            Path(entry.path).write_bytes(data[:position] + bytes([byte]) + data[position + 1 :])
            with suppress(ValueError):
                request_for(entry)


def test_host_without_samples_is_not_kept(sending: Sending) -> None:
    sending.batch(0)
    sending.site.planned = [Reply(503)]

    sending.sender.drain()

    assert sending.queued() == 0


def test_hanging_request_times_out(
    spool: Spool, site: Site, health: Health, clock: FakeClock
) -> None:
    sending = Sending(spool, site, health, clock, timeout_seconds=0.5)
    sending.batch()
    site.planned = [Reply(hang=True)]

    assert not sending.sender.drain()

    assert sending.queued() == 1
    assert sending.health.value("requests_total", "0") == 1


def test_batch_waits_while_site_is_unreachable(sending: Sending) -> None:
    sending.site.close()
    sending.batch()

    assert not sending.sender.drain()

    assert sending.queued() == 1


def test_lasting_failure_is_logged_every_ten_minutes(
    sending: Sending, caplog: pytest.LogCaptureFixture
) -> None:
    sending.batch()
    sending.site.usual = Reply(503, "maintenance")
    began = sending.clock.up

    while sending.clock.up < began + 3500:
        sending.later()

    assert 5 <= caplog.text.count("maintenance") <= 7


def test_recovery_is_logged_once(sending: Sending, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    sending.batch()
    sending.batch()
    sending.site.planned = [Reply(503)]
    sending.sender.drain()

    sending.later()

    assert caplog.text.count("accepts entries again") == 1


def test_rejected_nodes_are_logged(sending: Sending, caplog: pytest.LogCaptureFixture) -> None:
    answer = {"results": [], "rejected_nodes": [{"node": "n1", "message": "cpus must be more"}]}
    sending.event("jobs", 0)
    sending.site.planned = [Reply(200, json.dumps(answer))]

    assert sending.sender.drain()

    assert "the site rejects 1 nodes" in caplog.text
    assert "cpus must be more" in caplog.text


def test_empty_files_are_counted_and_not_kept(sending: Sending) -> None:
    for name in ("1-1-1.started.json", "2-sync-0000.jobs.json.gz"):
        Path(sending.spool.events, f"170000000000{name}").touch()
    for samples, content in ((3, b""), (4, opening_line("n1", None)[:20])):
        Path(sending.spool.samples, batch_name(samples, samples)).write_bytes(content)

    assert sending.sender.drain()

    assert sending.quarantined() == []
    assert sending.spool.waiting_batches() == sending.spool.waiting_events() == []
    assert sending.health.value("samples_dropped_total", "damaged") == 7
    assert sending.health.value("events_dropped_total", "damaged") == 2


def test_cut_batch_is_sent_and_its_rest_counted(sending: Sending) -> None:
    sending.batch(2)
    (whole,) = sending.spool.waiting_batches()
    data = Path(whole.path).read_bytes()
    for length in range(len(data)):
        Path(whole.path).write_bytes(data[:length])
        assert sending.sender.drain()
        assert not Path(whole.path).exists()

    assert sending.quarantined() == []
    sent = sending.health.value("samples_sent_total")
    assert sent > 0
    assert sent + sending.health.value("samples_dropped_total", "damaged") == 2 * len(data)


def test_file_that_cannot_be_removed_is_sent_once(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending.batch(2)
    (entry,) = sending.spool.waiting_batches()
    unlink = os.unlink

    def read_only(path: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system", path)

    monkeypatch.setattr("hpcobs_forwarder.spool.spool.os.unlink", read_only)
    for _ in range(3):
        assert sending.sender.drain()
    assert len(sending.site.accepted()) == 1
    monkeypatch.setattr("hpcobs_forwarder.spool.spool.os.unlink", unlink)

    sending.spool.write_back(0.0)

    assert not Path(entry.path).exists()
