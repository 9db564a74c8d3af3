"""The controller role on a full disk: no change is lost, none is sent twice, none counted twice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.controller.state_file import load
from hpcobs_forwarder.spool.fallback import Fallback, KeptFile
from hpcobs_forwarder.spool.spool import Spool
from tests.forwarder.fake_slurm import Controller, job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.health import Health
    from tests.forwarder.clocks import FakeClock


class FullDisk:
    """A spool of which one folder or file cannot be written for a while."""

    def __init__(self, spool: Spool) -> None:
        self._spool = Path(spool.folder)

    def fill(self, name: str) -> None:
        path = self._spool / name
        if path.exists():
            path.rename(self._spool / f"{name}.away")
        if name == "events":
            path.touch()
        else:
            (path / "in the way").mkdir(parents=True)

    def free(self, name: str) -> None:
        path = self._spool / name
        if path.is_dir():
            (path / "in the way").rmdir()
            path.rmdir()
        else:
            path.unlink()
        if (self._spool / f"{name}.away").exists():
            (self._spool / f"{name}.away").rename(path)


@pytest.fixture
def disk(spool: Spool) -> FullDisk:
    return FullDisk(spool)


@pytest.mark.parametrize("name", ["events", "synchronised.json"])
def test_failed_pass_leaves_nothing_and_is_repeated(
    controller: Controller, spool: Spool, disk: FullDisk, name: str
) -> None:
    controller.slurm.now = [job(number) for number in range(1200)]
    disk.fill(name)
    for _ in range(3):
        assert controller.tick() == []
    disk.free(name)

    assert len(controller.sent_states()) == 1200
    assert spool.waiting_events() == []


def test_lost_job_is_counted_once(
    controller: Controller, disk: FullDisk, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    controller.slurm.no_accounting = True
    controller.slurm.now = [job(1), job(2)]
    controller.tick()
    controller.slurm.now = [job(2)]
    disk.fill("synchronised.json")
    assert controller.lost(10) == []
    disk.free("synchronised.json")

    ends = controller.lost(10)

    assert [end["job_id"] for end in ends] == ["1"]
    assert health.value("jobs_lost_total") == 1
    assert caplog.text.count("its end is unknown") == 1


@pytest.fixture
def kept(tmp_path: Path, health: Health, clock: FakeClock) -> Iterator[Controller]:
    """Return a controller role whose spool has a fallback folder."""
    fallback = Fallback(str(tmp_path / "fallback"))
    spool = Spool(str(tmp_path / "spool"), sync=False, health=health, fallback=fallback)
    spool.open()
    yield Controller(spool, health, clock)
    spool.close()


def test_fallback_folder_keeps_changes_and_progress(kept: Controller, tmp_path: Path) -> None:
    disk = FullDisk(kept.spool)
    kept.site_is_reachable = False
    kept.slurm.now = [job(1)]
    kept.tick()
    disk.fill("events")
    disk.fill("synchronised.json")
    kept.slurm.now = [job(2)]
    kept.tick()
    file = KeptFile(f"{kept.spool.folder}/synchronised.json", kept.spool.fallback)

    assert {key[0] for key in load(file).tracking.open} == {"2"}
    (event,) = (tmp_path / "fallback/events").iterdir()

    disk.free("events")
    disk.free("synchronised.json")
    assert {key[0] for key in load(file).tracking.open} == {"2"}, "the newest copy counts"
    kept.tick()
    kept.spool.write_back(kept.clock.wall())

    assert [entry.folder for entry in kept.spool.waiting_events()] == [kept.spool.events] * 2
    assert event.name in [entry.name for entry in kept.spool.waiting_events()]
    assert not (tmp_path / "fallback/synchronised.json").exists()


def test_damaged_newest_copy_leaves_the_older(kept: Controller, tmp_path: Path) -> None:
    kept.slurm.now = [job(1)]
    kept.tick()
    (tmp_path / "fallback/synchronised.json").write_text('{"open": [')

    file = KeptFile(f"{kept.spool.folder}/synchronised.json", kept.spool.fallback)

    assert {key[0] for key in load(file).tracking.open} == {"1"}
