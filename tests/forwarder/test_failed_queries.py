"""A query of Slurm that failed is no empty answer, whatever it looks like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.controller.commands import Commands
from hpcobs_forwarder.controller.process import run, run_in_utc
from hpcobs_forwarder.controller.sacct import Sacct
from hpcobs_forwarder.controller.source import NoHistoryError, SourceError
from tests.forwarder.fake_slurm import Controller, job
from tests.forwarder.slurm_json import SACCT, boxed

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health

RUNNING = {"job_id": 4711, "job_state": ["RUNNING"], "user_name": "ada", "nodes": "n1"}
MIXED = {"name": "n1", "state": ["MIXED"]}
IDLE = {"name": "n1", "state": ["IDLE"]}


class Scripted:
    """Slurm's commands with fixed output, by the first word that a command line has."""

    def __init__(self, **outputs: Any) -> None:
        self.outputs = outputs

    def __call__(self, command: list[str]) -> bytes:
        output = next(self.outputs[word] for word in self.outputs if word in command)
        if isinstance(output, Exception):
            raise output
        return output if isinstance(output, bytes) else json.dumps(output).encode()


@pytest.mark.parametrize(
    "jobs",
    [
        {"jobs": [], "last_update": boxed(0), "errors": []},
        {"jobs": [], "last_update": 0},
        {"jobs": [], "last_update": boxed(None)},
        {"jobs": [], "last_update": None},
        {"jobs": [], "last_update": {"set": True, "infinite": True, "number": 0}},
        {"jobs": [], "last_update": "Unknown"},
        {"jobs": [RUNNING], "last_update": 0},
        {"jobs": [RUNNING], "errors": [{"error": "Unable to contact slurm controller"}]},
        {"jobs": [], "errors": [{"error_number": 1800}]},
        {"jobs": [], "errors": "Socket timed out"},
        {"jobs": None, "errors": []},
        {"errors": []},
        [],
        b"",
        b'{"jobs": [{"job_id": 4711, "job_st',
        b"slurm_load_jobs error: Unable to contact slurm controller",
        b'{"jobs": ' + b"[" * 100_000,
        SourceError("scontrol failed: exit status 1"),
    ],
)
def test_failed_list_of_jobs_is_error(jobs: Any) -> None:
    with pytest.raises(SourceError):
        Commands(Scripted(jobs=jobs)).jobs()


@pytest.mark.parametrize("key", ["jobs", "nodes"])
def test_empty_list_with_update_is_empty(key: str) -> None:
    source = Commands(Scripted(**{key: {key: [], "last_update": boxed(1), "errors": []}}))

    assert (source.jobs if key == "jobs" else source.nodes)() == []


def test_failed_list_of_nodes_is_error() -> None:
    with pytest.raises(SourceError):
        Commands(Scripted(nodes={"nodes": [], "last_update": 0})).nodes()


@pytest.mark.parametrize("state", ["mixed", "allocated", "mixed+drain", "allocated+cloud"])
def test_empty_list_beside_busy_nodes_fails(
    controller: Controller, health: Health, state: str
) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now, controller.slurm.past = [], [job(1, "FAILED")]
    controller.slurm.known_nodes = [{"node": "n1", "state": state}]

    assert [controller.tick() for _ in range(30)] == [[]] * 30
    assert health.value("reader_errors_total", "fake") == 30


@pytest.mark.parametrize("state", ["idle", "idle+drain", "down", "completing"])
def test_empty_list_beside_idle_nodes_counts(controller: Controller, state: str) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now, controller.slurm.past = [], [job(1, "FAILED")]
    controller.slurm.known_nodes = [{"node": "n1", "state": state}]

    assert controller.sent_states() == {"1": "FAILED"}


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "SUSPENDED", "COMPLETING", "REQUEUE_HOLD"])
def test_job_that_history_calls_open_goes_on(controller: Controller, state: str) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now, controller.slurm.past = [], [job(1, state)]

    assert controller.lost(300) == []
    controller.slurm.now = [job(1)]
    assert controller.sent_states() == {"1": "RUNNING"}


def test_state_after_failed_passes_is_sent(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.down = True
    assert [controller.tick() for _ in range(10)] == [[]] * 10
    controller.slurm.down = False
    controller.slurm.now = [job(1, "COMPLETED")]

    assert controller.sent_states() == {"1": "COMPLETED"}


@pytest.mark.parametrize(
    "answer",
    [
        {"jobs": [], "errors": [{"error_number": 7000, "error": "Unable to connect to database"}]},
        {"jobs": [SACCT], "errors": [{"error": "slurmdb_jobs_get"}]},
        {"errors": []},
        b"",
        b'{"jobs": [{"job',
        SourceError("sacct failed: Problem talking to the database: Connection refused"),
    ],
)
def test_failed_sacct_is_error(answer: Any) -> None:
    with pytest.raises(SourceError) as raised:
        Sacct(Scripted(sacct=answer)).jobs(["42"])

    assert raised.type is SourceError


def test_sacct_without_its_text_is_error() -> None:
    def json_only(command: list[str]) -> bytes:
        if "--json" not in command:
            raise SourceError("sacct failed: Connection refused")
        return json.dumps({"jobs": [SACCT]}).encode()

    with pytest.raises(SourceError, match="refused"):
        Sacct(json_only).jobs(["42"])


def test_disabled_accounting_is_known_as_such() -> None:
    disabled = SourceError("sacct failed: Slurm accounting storage is disabled")

    with pytest.raises(NoHistoryError):
        Sacct(Scripted(sacct=disabled)).ended(0, 1)


@pytest.mark.parametrize(
    ("command", "limits", "reason"),
    [
        ("sleep 60", {"time_limit": 0.2}, "within 0.2 s"),
        ("sleep 60 & exec sleep 60", {"time_limit": 0.2}, "within 0.2 s"),
        ("sleep 60 & exit 0", {"time_limit": 0.2}, "within 0.2 s"),
        ("yes", {"max_output_bytes": 1000}, "more than 1000 bytes"),
        ("yes | head -c 1000000 >&2; exit 3", {}, "y"),
        ("exit 3", {}, "exit status 3"),
        ("printf 'caf\\351' >&2; exit 1", {}, "caf\ufffd"),
    ],
)
def test_command_is_limited(command: str, limits: dict[str, Any], reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        run(["sh", "-c", command], **limits)


def test_sacct_runs_in_utc() -> None:
    assert run_in_utc(["date", "+%Z"]).strip() == b"UTC"
