"""The spool folder: its entries survive crashes, and it stays within its limits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.spool.batch import decode
from hpcobs_forwarder.spool.janitor import Limits, SpoolJanitor
from hpcobs_forwarder.spool.journal import JOURNAL, MAX_SAMPLES, BatchWriter
from hpcobs_forwarder.spool.spool import MEMORY_BYTES, Spool, SpoolError

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.entries import Entry
    from tests.forwarder.clocks import FakeClock

HOST = {"cpus": 8}


def samples(count: int) -> list[dict[str, Any]]:
    return [{"job_id": str(number), "cpu_usage": 1.0} for number in range(count)]


@pytest.fixture
def writer(spool: Spool, clock: FakeClock) -> BatchWriter:
    return BatchWriter(spool, "n1", clock)


def janitor_of(spool: Spool, health: Health, clock: FakeClock, **limits: Any) -> SpoolJanitor:
    bounds = {"max_bytes": 1 << 30, "max_age_seconds": 7 * 86_400, **limits}
    return SpoolJanitor(spool, Limits(**bounds), health=health, clock=clock, boot_id="this")


def counts(entries: list[Entry]) -> list[int]:
    return [decode(entry.read()).samples for entry in entries]


def fill(spool: Spool, clock: FakeClock, batches: int) -> None:
    writer = BatchWriter(spool, "n1", clock)
    for _ in range(batches):
        writer.add(samples(5), HOST, None)
        writer.seal(None)
        clock.advance(30)


def test_each_pass_is_on_disk_before_sealing(spool: Spool, writer: BatchWriter) -> None:
    for passes in (1, 2, 3):
        writer.add(samples(4), HOST, "lab")

        on_disk = decode(Path(spool.samples, JOURNAL).read_bytes())
        assert on_disk.samples == 4 * passes
        assert on_disk.opening["cluster_name"] == "lab"


def test_sealed_batch_has_last_host_state(spool: Spool, writer: BatchWriter) -> None:
    writer.add(samples(2), {"cpus": 1}, None)
    writer.add(samples(3), {"cpus": 2}, None)
    writer.seal(None)

    (entry,) = spool.waiting_batches()

    assert entry.samples == 5
    assert decode(entry.read()).host == b'{"cpus":2}'
    assert not Path(spool.samples, JOURNAL).exists()


def test_idle_node_writes_nothing_to_disk(spool: Spool, writer: BatchWriter) -> None:
    writer.add([], HOST, None)
    writer.seal(None)

    assert os.listdir(spool.samples) == []
    assert counts(spool.waiting_batches()) == [0]


def test_only_newest_state_of_idle_node_is_queued(
    spool: Spool, writer: BatchWriter, clock: FakeClock
) -> None:
    for load in range(5):
        writer.add([], {"cpu_load": load}, None)
        writer.seal(None)
        clock.advance(30)

    (entry,) = spool.waiting_batches()

    assert decode(entry.read()).host == b'{"cpu_load":4}'


def test_leftover_journal_does_not_block_new_one(spool: Spool, writer: BatchWriter) -> None:
    Path(spool.samples, JOURNAL).write_bytes(b"left over by a disk that had become read-only")

    writer.add(samples(2), HOST, None)

    assert decode(Path(spool.samples, JOURNAL).read_bytes()).samples == 2


def test_batches_stay_within_contract_limit(spool: Spool, writer: BatchWriter) -> None:
    for _ in range(3):
        writer.add(samples(3000), HOST, None)
    writer.add(samples(2 * MAX_SAMPLES), HOST, None)
    writer.seal(None)

    sizes = [entry.samples for entry in spool.waiting_batches()]

    assert max(sizes) <= MAX_SAMPLES
    assert sum(sizes) == 19_000


def test_batches_are_queued_by_time(spool: Spool, clock: FakeClock) -> None:
    fill(spool, clock, 3)
    newest = spool.waiting_batches()[-1]
    spool.compress(spool.waiting_batches()[0])

    times = [entry.written_at for entry in spool.waiting_batches()]

    assert times == sorted(times)
    assert spool.waiting_batches()[-1] == newest


def test_compressed_batch_is_smaller_with_same_content(spool: Spool, writer: BatchWriter) -> None:
    writer.add(samples(500), HOST, None)
    writer.seal(None)
    (entry,) = spool.waiting_batches()
    before = entry.read()

    spool.compress(entry)

    (packed,) = spool.waiting_batches()
    assert packed.size < entry.size / 5
    assert packed.read() == before
    assert packed.samples == 500


def test_open_batch_of_killed_forwarder_is_sealed(
    spool: Spool, writer: BatchWriter, health: Health, clock: FakeClock
) -> None:
    writer.add(samples(4), HOST, None)
    with Path(spool.samples, JOURNAL).open("ab") as journal:
        journal.write(b'S 12345678 9 {"job_id":')

    janitor_of(spool, health, clock).recover()

    assert counts(spool.waiting_batches()) == [4]


def test_damaged_open_batch_is_quarantined(spool: Spool, health: Health, clock: FakeClock) -> None:
    Path(spool.samples, JOURNAL).write_bytes(b"\0" * 4096)

    janitor_of(spool, health, clock).recover()

    assert spool.waiting_batches() == []
    assert Path(spool.quarantined, JOURNAL).stat().st_size == 4096
    assert health.value("quarantined_total", "damaged") == 1


def test_half_written_files_are_removed_after_an_hour(
    spool: Spool, health: Health, clock: FakeClock
) -> None:
    old, new = Path(spool.events, ".a.json.12"), Path(spool.events, ".b.json.13")
    for file, age in ((old, 4000), (new, 10)):
        file.touch()
        os.utime(file, (clock.now - age, clock.now - age))

    janitor_of(spool, health, clock).recover()

    assert os.listdir(spool.events) == [".b.json.13"]


def test_whole_file_of_killed_hook_is_renamed(
    spool: Spool, health: Health, clock: FakeClock
) -> None:
    whole = Path(spool.events, ".1-7-12.started.json.12")
    half = Path(spool.events, ".1-8-13.started.json.13")
    fresh = Path(spool.jobs, ".9.json.14")
    for file, text, age in ((whole, "{}\n", 61), (half, "{", 61), (fresh, "{}\n", 59)):
        file.write_text(text)
        os.utime(file, (clock.now - age, clock.now - age))

    janitor_of(spool, health, clock).trim()

    assert sorted(os.listdir(spool.events)) == [half.name, "1-7-12.started.json"]
    assert os.listdir(spool.jobs) == [fresh.name]


def test_foreign_folders_do_not_stop_the_janitor(
    spool: Spool, health: Health, clock: FakeClock
) -> None:
    fill(spool, clock, 2)
    for name in (f"{spool.samples}/old.batch", f"{spool.events}/.kept.json.1"):
        os.mkdir(name)
        os.utime(name, (clock.now - 4000, clock.now - 4000))
    janitor = janitor_of(spool, health, clock, max_bytes=1)

    janitor.recover()
    janitor.trim()

    assert spool.waiting_batches() == []
    assert health.value("samples_dropped_total", "size") == 10


def test_removed_folders_are_made_again(
    spool: Spool, health: Health, clock: FakeClock, writer: BatchWriter
) -> None:
    for folder in (spool.samples, spool.events, spool.jobs):
        os.rmdir(folder)

    janitor_of(spool, health, clock).trim()
    writer.add(samples(2), HOST, None)
    writer.seal(None)

    assert counts(spool.waiting_batches()) == [2]


def test_job_records_of_earlier_boot_are_removed(
    spool: Spool, health: Health, clock: FakeClock
) -> None:
    Path(spool.jobs, "1.json").write_text('{"job_id": "1", "boot_id": "earlier"}')
    Path(spool.jobs, "2.json").write_text('{"job_id": "2", "boot_id": "this"}')
    Path(spool.jobs, "3.json").write_text('{"job_id": "3"}')

    janitor_of(spool, health, clock).recover()

    assert sorted(os.listdir(spool.jobs)) == ["2.json", "3.json"]


def test_full_spool_drops_and_logs_oldest_samples(
    spool: Spool, health: Health, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    fill(spool, clock, 6)
    Path(spool.events, "1700000000000-7-1.finished.json").write_text("{}")
    sizes = [entry.size for entry in spool.waiting_batches()]

    janitor_of(spool, health, clock, max_bytes=sum(sizes[2:])).trim()

    assert counts(spool.waiting_batches()) == [5, 5, 5]
    assert len(spool.waiting_events()) == 1
    assert health.value("samples_dropped_total", "size") == 15
    assert caplog.text.count("dropped (size)") == 3


def test_old_samples_are_dropped_after_an_hour(
    spool: Spool, health: Health, clock: FakeClock
) -> None:
    fill(spool, clock, 2)
    janitor = janitor_of(spool, health, clock, max_age_seconds=3600)

    clock.advance(3500)
    janitor.trim()
    assert len(spool.waiting_batches()) == 2

    for _ in range(8):
        clock.advance(600)
        janitor.trim()
    assert spool.waiting_batches() == []
    assert health.value("samples_dropped_total", "age") == 10


def test_clock_jumping_years_ahead_drops_nothing(
    spool: Spool, health: Health, clock: FakeClock
) -> None:
    fill(spool, clock, 2)
    janitor = janitor_of(spool, health, clock, max_age_seconds=3600)
    for years in (10, -10) * 4:
        clock.now += years * 31_536_000
        janitor.trim()
        clock.advance(600)

    janitor.trim()

    assert len(spool.waiting_batches()) == 2


def test_spool_size_is_reported(spool: Spool, health: Health, clock: FakeClock) -> None:
    began = clock.now
    fill(spool, clock, 2)
    Path(spool.events, f"{int(clock.now * 1000)}-7-1.finished.json").write_text("{}")

    janitor_of(spool, health, clock).trim()

    assert health.value("spool_files", "batch") == 2
    assert health.value("spool_files", "event") == 1
    assert health.value("spool_bytes") > 100
    assert health.value("spool_oldest_timestamp_seconds") == began


def test_quarantine_keeps_reason_and_stays_small(
    spool: Spool, health: Health, clock: FakeClock
) -> None:
    fill(spool, clock, 4)
    for entry in spool.waiting_batches():
        spool.quarantine(entry, "400", "no such field")
    reasons = list(Path(spool.quarantined).glob("*.reason"))
    assert {reason.read_text() for reason in reasons} == {"no such field\n"}
    size = sum(file.stat().st_size for file in Path(spool.quarantined).iterdir())

    janitor_of(spool, health, clock, max_bytes=2 * size).trim()

    remaining = sum(file.stat().st_size for file in Path(spool.quarantined).iterdir())
    assert 0 < remaining <= size / 2
    assert health.value("samples_dropped_total", "quarantine") > 0


def test_two_forwarders_cannot_share_a_spool(spool: Spool, health: Health) -> None:
    with pytest.raises(SpoolError, match="in use by another"):
        Spool(spool.folder, sync=False, health=health).open()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_root_does_not_touch_other_users_spool(tmp_path: Path, health: Health) -> None:
    os.chown(tmp_path, 1, 1)

    with pytest.raises(SpoolError, match="run this as that user"):
        Spool(str(tmp_path), sync=False, health=health).open()
    assert os.listdir(tmp_path) == []


def test_uncreatable_spool_gives_one_line_error(tmp_path: Path, health: Health) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SpoolError, match="cannot be used"):
        Spool(str(tmp_path / "file/spool"), sync=False, health=health).open()


def test_batches_stay_in_memory_while_disk_fails(
    spool: Spool, writer: BatchWriter, clock: FakeClock
) -> None:
    os.rename(spool.samples, f"{spool.samples}.away")
    writer.add(samples(3), HOST, None)
    os.rename(f"{spool.samples}.away", spool.samples)
    writer.add(samples(4), HOST, None)
    assert decode(Path(spool.samples, JOURNAL).read_bytes()).samples == 7
    writer.seal(None)

    os.rename(spool.samples, f"{spool.samples}.away")
    clock.advance(30)
    writer.add(samples(5), HOST, None)
    writer.seal(None)
    os.rename(f"{spool.samples}.away", spool.samples)

    assert counts(spool.waiting_batches()) == [7, 5]


def test_memory_queue_is_bounded_and_losses_counted(spool: Spool, health: Health) -> None:
    data = b"x" * (MEMORY_BYTES // 2)
    for number in range(3):
        spool.keep_in_memory(f"{number:013d}-9-a.batch", data)

    assert len(spool.waiting_batches()) == 2
    assert health.value("samples_dropped_total", "memory") == 9
