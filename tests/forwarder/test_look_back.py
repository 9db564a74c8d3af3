"""The accounting database is read for what ended between two looks at slurmctld."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.controller.look_back import LookBack
from hpcobs_forwarder.controller.sacct import Sacct
from hpcobs_forwarder.controller.source import SourceError
from tests.forwarder.fake_slurm import job

if TYPE_CHECKING:
    from hpcobs_forwarder.spool.spool import Spool
    from tests.forwarder.fake_slurm import Controller

DAY = 86_400.0


def test_job_between_two_looks_gets_its_end(controller: Controller) -> None:
    controller.tick()
    controller.slurm.past = [job(1, "TIMEOUT", exit_code=0)]

    assert controller.sent_states() == {"1": "TIMEOUT"}
    assert [controller.sent_states() for _ in range(200)] == [{}] * 200, "each end once"


def test_end_that_slurmctld_showed_is_no_news(controller: Controller) -> None:
    controller.slurm.now = [job(1, "FAILED")]
    controller.tick()
    controller.slurm.now, controller.slurm.past = [], [job(1, "FAILED")]

    assert [controller.sent_states() for _ in range(100)] == [{}] * 100


@pytest.mark.parametrize("flag", ["COMPLETING", "STAGE_OUT", "COMPLETING+STOPPED"])
def test_end_of_completing_job_is_settled(controller: Controller, flag: str) -> None:
    controller.slurm.now = [job(1, f"CANCELLED+{flag}", exit_code=0)]
    controller.tick()
    controller.slurm.now, controller.slurm.past = [], [job(1, "CANCELLED", exit_code=9)]

    states = [controller.sent_states() for _ in range(10)]

    assert [state for state in states if state] == [{"1": "CANCELLED"}]


def test_failed_first_look_back_is_repeated(controller: Controller) -> None:
    controller.slurm.accounting_down = True
    for _ in range(10):
        assert controller.sent_states() == {}
    controller.slurm.accounting_down = False
    controller.slurm.past = [job(1, "TIMEOUT")]

    assert controller.sent_states() == {"1": "TIMEOUT"}
    assert controller.slurm.queried_times[0][0] <= controller.clock.now - DAY


@pytest.mark.parametrize("restart", [True, False])
def test_gap_is_read_from_its_beginning(controller: Controller, restart: bool) -> None:
    controller.tick()
    last = controller.clock.now - 30
    controller.slurm.down = True
    controller.clock.advance(5 * 3600)
    controller.tick()
    if restart:
        controller.restart()
    controller.slurm.down = False
    controller.slurm.queried_times.clear()
    controller.tick()

    times = controller.slurm.queried_times
    assert times[0][0] <= last
    assert times[-1][1] == controller.clock.now - 30
    assert [since for since, _ in times[1:]] == [until for _, until in times[:-1]], "no hole"
    assert max(until - since for since, until in times) <= 3600


def test_ends_not_spooled_are_found_again(controller: Controller, spool: Spool) -> None:
    controller.tick()
    controller.slurm.past = [job(1, "TIMEOUT")]
    Path(spool.events).rename(f"{spool.folder}/away")
    controller.work.tick()
    controller.clock.advance(30)
    Path(f"{spool.folder}/away").rename(spool.events)

    assert controller.sent_states() == {"1": "TIMEOUT"}


def test_look_back_is_bounded(controller: Controller, spool: Spool) -> None:
    Path(f"{spool.folder}/synchronised.json").write_text('{"read_until": 0}')
    controller.restart()
    controller.tick()

    times = controller.slurm.queried_times
    assert times[0][0] >= controller.clock.now - 15 * DAY
    assert len(times) <= 48
    for _ in range(10):
        controller.tick()
    assert controller.slurm.queried_times[-1][1] == controller.clock.now - 30


class Crowded:
    """A database that only responds for windows of at most ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.read_until = 0.0

    def ended(self, since: float, until: float) -> list[dict[str, object]]:
        if until - since > self.seconds:
            raise SourceError("sacct failed: no complete output within 60 s")
        self.read_until = until
        return []

    def jobs(self, ids: object) -> list[dict[str, object]]:
        return []


def test_too_large_windows_become_smaller() -> None:
    crowded = Crowded(600)
    look_back = LookBack(crowded)
    now, until = 10_000_000.0, 10_000_000.0 - 4 * 3600
    for _ in range(100):
        _, until = look_back.read(until, now)

    assert crowded.read_until == until == now


def test_clock_that_goes_back_stops_nothing(controller: Controller) -> None:
    controller.tick()
    controller.clock.advance(-DAY)
    controller.slurm.past = [job(1, "TIMEOUT")]

    assert controller.sent_states() == {"1": "TIMEOUT"}


def test_absent_accounting_is_queried_rarely(controller: Controller) -> None:
    controller.slurm.no_accounting = True
    for _ in range(100):
        controller.tick()

    assert controller.health.value("reader_errors_total", "sacct") <= 6


def test_sacct_selects_by_end_and_duplicates() -> None:
    ran: list[list[str]] = []

    def sacct(command: list[str]) -> bytes:
        ran.append(command)
        return json.dumps({"jobs": []}).encode()

    Sacct(sacct).ended(1_800_000_000.7, 1_800_000_030.2)

    (command,) = ran
    assert {"--allusers", "--duplicates", "--allocations"} < set(command)
    (states,) = (word for word in command if word.startswith("--state="))
    assert {"CANCELLED", "DEADLINE", "REQUEUED"} < set(states.partition("=")[2].split(","))
