"""What no disk accepted is written as soon as there is room: in order, once, and else counted."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs_forwarder.daemon.health import Health
from hpcobs_forwarder.spool.batch import decode, opening_line, samples_line
from hpcobs_forwarder.spool.entries import batch_name, write_whole
from hpcobs_forwarder.spool.fallback import MAX_BYTES, Fallback, is_private
from hpcobs_forwarder.spool.janitor import Limits, SpoolJanitor
from hpcobs_forwarder.spool.journal import BatchWriter
from hpcobs_forwarder.spool.memory import MemoryQueue
from hpcobs_forwarder.spool.spool import Spool
from tests.forwarder.clocks import FakeClock
from tests.forwarder.properties import patient

if TYPE_CHECKING:
    from hpcobs_forwarder.spool.entries import Entry


class Disk:
    """A spool and its fallback folder, and the process that uses them.

    A file in place of ``samples`` fails as a full disk does, also for root.
    """

    def __init__(self, root: Path, *, has_fallback: bool) -> None:
        self.folder = root / "spool"
        self.fallback = root / "fallback"
        self.clock = FakeClock()
        self.health = Health()
        self.memory = MemoryQueue()
        self._path = str(self.fallback) if has_fallback else ""
        self._number = 0
        self.start()

    def start(self) -> None:
        self.spool = Spool(
            str(self.folder),
            sync=False,
            health=self.health,
            fallback=Fallback(self._path),
            memory=self.memory,
        )
        self.spool.open()
        limits = Limits(1 << 30, 1e9)
        self.janitor = SpoolJanitor(self.spool, limits, health=self.health, clock=self.clock)
        self.janitor.recover()
        self.writer = BatchWriter(self.spool, "n1", self.clock)

    def reload(self) -> None:
        self.seal()
        self.spool.close()
        self.free()  # the janitor lists the folders
        self.start()

    def stop(self) -> None:
        self.seal()
        self.spool.close()
        self.memory.lose(self.health)
        self.free()
        self.start()

    def kill(self) -> None:
        """End without a clean-up. What is in memory alone is lost."""
        self.spool.fallback.close()
        os.close(self.spool._lock)
        self.memory = MemoryQueue()
        self.free()
        for journal in self.folder.parent.glob("*/samples/open.journal"):
            os.utime(journal, (self.clock.now, self.clock.now))
        self.start()

    def add(self) -> int:
        """Take one sample. Return its number."""
        self._number += 1
        self.writer.add([sample(self._number)], {"cpus": 8}, None)
        self.clock.advance(10)
        return self._number

    def seal(self) -> None:
        self.writer.seal(None)

    def write_back(self) -> None:
        self.spool.write_back(self.clock.wall())

    def fill(self) -> None:
        # First the open file: the file system would still accept it.
        self.seal()
        full(self.folder)

    def fill_both(self) -> None:
        self.fill()
        full(self.fallback)

    def free(self) -> None:
        for folder in (self.folder, self.fallback):
            if (folder / "away").is_dir():
                (folder / "samples").unlink()
                (folder / "away").rename(folder / "samples")

    def queued(self, *, on_disk: bool = False) -> list[int]:
        entries = self.spool.waiting_batches()
        kept = [entry for entry in entries if not (on_disk and entry.data is not None)]
        return [number for entry in kept for number in numbers_in(entry)]


def full(folder: Path) -> None:
    if (folder / "samples").is_dir():
        (folder / "samples").rename(folder / "away")
        (folder / "samples").touch()


def sample(number: int) -> dict[str, Any]:
    return {"job_id": str(number), "timestamp": f"2027-01-15T08:00:{number:02}.000Z"}


def numbers_in(entry: Entry) -> list[int]:
    return [int(line.split(b'"')[3]) for line in decode(entry.read()).passes]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path, has_fallback=False)


@pytest.fixture
def two(tmp_path: Path) -> Disk:
    return Disk(tmp_path, has_fallback=True)


def into_memory(disk: Disk, count: int) -> None:
    disk.fill()
    for _ in range(count):
        disk.add()
        disk.seal()
    assert len(disk.memory.entries()) == count


def test_memory_is_written_once_there_is_room(disk: Disk) -> None:
    into_memory(disk, 3)
    disk.write_back()
    assert len(disk.memory.entries()) == 3

    disk.free()
    disk.write_back()

    assert disk.queued(on_disk=True) == [1, 2, 3]
    assert disk.memory.entries() == []


def test_older_samples_are_written_first(disk: Disk) -> None:
    into_memory(disk, 3)
    disk.free()
    disk.add()
    disk.seal()
    disk.write_back()

    assert disk.queued(on_disk=True) == [1, 2, 3, 4]


def test_stop_writes_what_is_in_memory(disk: Disk) -> None:
    into_memory(disk, 3)
    disk.free()
    disk.stop()

    assert disk.queued(on_disk=True) == [1, 2, 3]
    assert disk.health.value("samples_dropped_total", "stop") == 0


def test_stop_writes_thousands_of_batches(disk: Disk) -> None:
    disk.fill()
    line = opening_line("n1", None) + samples_line([sample(1)])
    for number in range(2000):
        disk.spool.keep_in_memory(batch_name(number, 1), line)
    disk.free()
    disk.stop()

    assert len(disk.queued(on_disk=True)) == 2000
    assert disk.health.value("samples_dropped_total", "stop") == 0


def test_stop_on_full_disk_counts_and_logs_once(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    into_memory(disk, 3)
    caplog.clear()
    disk.stop()

    assert disk.health.value("samples_dropped_total", "stop") == 3
    (line,) = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert "3 samples from 2027-01-15T08:00:01.000Z to 2027-01-15T08:00:03.000Z are lost" in line


def test_reload_on_full_disk_loses_nothing(disk: Disk) -> None:
    into_memory(disk, 2)
    disk.reload()

    assert disk.queued() == [1, 2]
    assert disk.health.value("samples_dropped_total", "stop") == 0


def test_sent_batch_is_not_written_back(disk: Disk) -> None:
    into_memory(disk, 2)
    first, second = disk.spool.elsewhere()
    disk.free()
    disk.spool.remove(first)
    disk.write_back()
    assert disk.queued() == [2]

    disk.spool.remove(second)  # as the sender has it: listed before it was written back

    assert disk.queued() == []


def test_kill_on_full_disk_loses_nothing(two: Disk) -> None:
    two.fill()
    two.add()
    two.seal()
    two.add()
    two.kill()
    assert two.queued() == [1, 2]

    two.write_back()

    assert [entry.folder for entry in two.spool.waiting_batches()] == [two.spool.samples] * 2
    assert two.queued() == [1, 2]


def test_recovered_disk_leaves_no_older_copy(two: Disk) -> None:
    two.fill()
    two.add()
    two.free()
    two.add()
    assert not (two.fallback / "samples/open.journal").exists()
    full(two.folder)
    (two.folder / "away/open.journal").unlink()
    two.free()
    two.writer = BatchWriter(two.spool, "n1", two.clock)
    two.fill()
    two.add()
    two.kill()

    assert two.queued() == [3]


STEPS = ["add", "add", "seal", "write_back", "fill", "free", "fill_both", "reload", "stop", "kill"]


@settings(patient, max_examples=200)
@given(st.lists(st.sampled_from(STEPS), max_size=25), st.booleans())
def test_any_spells_and_ends_keep_each_sample(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], has_fallback: bool
) -> None:
    disk = Disk(tmp_path_factory.mktemp("disk"), has_fallback=has_fallback)
    taken: list[int] = []
    killed: set[int] = set()
    for step in steps:
        if step == "kill":
            lines = [line for line in pending(disk) if line]
            killed.update(int(line.split(b'"')[3]) for line in lines)
        number = getattr(disk, step)()
        taken += [number] if step == "add" else []
    disk.free()
    disk.stop()
    disk.write_back()

    queued = disk.queued(on_disk=True)
    lost = disk.health.value("samples_dropped_total", "stop")
    assert queued == sorted(set(queued))
    assert set(queued) <= set(taken) - killed
    assert len(queued) + len(killed) + lost == len(taken)


def pending(disk: Disk) -> list[bytes]:
    """Return the passes that are only in memory: a kill loses them."""
    journal = disk.writer._journal
    passes = [one for e in disk.memory.entries() for one in decode(e.read()).passes]
    if journal is not None and journal.failure is not None and not is_whole(disk, journal.folder):
        passes += decode(b"".join(journal._lines)).passes
    return passes


def is_whole(disk: Disk, folder: str) -> bool:
    """Return whether the open batch has gone to the fallback folder."""
    return folder == f"{disk.fallback}/samples" and Path(folder).is_dir()


@settings(patient, max_examples=100)
@given(st.integers(0, 600), st.booleans())
def test_journal_cut_at_any_byte_keeps_its_lines(
    tmp_path_factory: pytest.TempPathFactory, length: int, has_fallback: bool
) -> None:
    disk = Disk(tmp_path_factory.mktemp("disk"), has_fallback=has_fallback)
    for _ in range(3):
        disk.add()
    journal = disk.folder / "samples/open.journal"
    data = journal.read_bytes()[:length]
    journal.write_bytes(data)
    disk.kill()

    whole = max(data.count(b"\n") - 1, 0)
    assert disk.queued() == list(range(1, whole + 1))
    assert os.listdir(disk.spool.quarantined) == []
    assert not journal.exists()


def test_forwarder_killed_at_birth_logs_nothing(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    opening = opening_line("n1", "lab")
    for length in range(len(opening)):
        (disk.folder / "samples/open.journal").write_bytes(opening[:length])
        disk.kill()

    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert disk.health.value("quarantined_total", "damaged") == 0


@settings(patient, max_examples=100)
@given(st.data())
def test_damaged_journal_line_costs_itself_alone(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    disk = Disk(tmp_path_factory.mktemp("disk"), has_fallback=False)
    for _ in range(4):
        disk.add()
    journal = disk.folder / "samples/open.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    damaged = data.draw(st.integers(1, 4))
    place = data.draw(st.integers(13, len(lines[damaged]) - 2))
    bad = bytearray(lines[damaged])
    bad[place] ^= 1 << data.draw(st.integers(0, 2))
    journal.write_bytes(b"".join([*lines[:damaged], bytes(bad), *lines[damaged + 1 :]]))
    disk.kill()

    (entry,) = disk.spool.waiting_batches()
    assert disk.queued() == [number for number in range(1, 5) if number != damaged]
    assert entry.samples == 4  # the sender counts the difference
    assert decode(entry.read()).lost.count(b"\n") >= 1


@pytest.mark.parametrize("length", [0, 5, 60, 100, 150])
def test_cut_compressed_batch_keeps_its_lines(disk: Disk, length: int) -> None:
    for _ in range(20):
        disk.add()
    disk.seal()
    (entry,) = disk.spool.waiting_batches()
    disk.spool.compress(entry)
    (packed,) = disk.spool.waiting_batches()
    data = Path(packed.path).read_bytes()
    assert len(data) > length
    Path(packed.path).write_bytes(data[: len(data) - length])
    if not length:
        assert disk.queued() == list(range(1, 21))
        return

    whole = decode(packed.read()).samples

    assert 0 < whole <= 20


def test_leftover_of_the_same_process_id_is_replaced(disk: Disk) -> None:
    path = disk.folder / "seen"
    (disk.folder / f".seen.{os.getpid()}").write_text("left over by a kill")

    write_whole(str(path), b"new", sync=False)

    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_folder_of_others_is_no_fallback(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "fallback"
    folder.mkdir()
    assert is_private(str(folder))
    folder.chmod(mode)
    assert not is_private(str(folder))

    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not is_private(str(link))
    assert not is_private(str(tmp_path / "none"))


def test_two_forwarders_do_not_share_a_fallback(
    two: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    other = Fallback(str(two.fallback))
    other.open()

    assert other.folders() == ()
    assert "another forwarder uses it" in caplog.text


def test_fallback_folder_stays_small(two: Disk) -> None:
    two.fill()
    for _ in range(10):
        two.add()
        two.seal()
    for entry in two.spool.elsewhere()[:5]:
        os.truncate(entry.path, MAX_BYTES // 4)
    two.free()

    two.janitor.trim()

    assert len(two.spool.elsewhere()) < 10
    assert two.health.value("samples_dropped_total", "fallback") > 0
    assert two.queued()[-1] == 10
