"""slurmctld and the accounting database queried by Slurm's commands."""

from __future__ import annotations

import json

import pytest

from hpcobs_forwarder.controller.commands import Commands
from hpcobs_forwarder.controller.process import run
from hpcobs_forwarder.controller.sacct import Sacct
from hpcobs_forwarder.controller.source import SourceError
from tests.forwarder.slurm_json import FIXTURES, JOBS_JSON, NODES_JSON, SACCT


class Shell:
    """Slurm's commands, in a version where those in ``able`` support ``--json``."""

    def __init__(self, *able: str) -> None:
        self.able = able
        self.ran: list[list[str]] = []

    def __call__(self, command: list[str]) -> bytes:
        self.ran.append(command)
        if command[0] not in self.able:
            raise SourceError(f"{command[0]}: unrecognized option '--json'")
        if command[0] == "sacct":
            return json.dumps({"jobs": [SACCT]}).encode() if "--json" in command else b""
        return (NODES_JSON if "nodes" in command or command[0] == "sinfo" else JOBS_JSON).encode()


@pytest.mark.parametrize("able", [("scontrol",), ("squeue", "sinfo")])
def test_commands_of_newer_and_older_slurm_work(able: tuple[str, ...]) -> None:
    shell = Shell(*able)
    commands = Commands(shell)

    for _ in range(2):
        assert len(commands.jobs()) == 23
        assert len(commands.nodes()) == 2
    assert [command[0] for command in shell.ran[-2:]] == [able[0], able[-1]]


def test_failing_scontrol_is_not_replaced_by_squeue() -> None:
    def down(command: list[str]) -> bytes:
        raise SourceError(f"{command[0]}: Unable to contact slurm controller")

    with pytest.raises(SourceError, match="scontrol: Unable"):
        Commands(down).jobs()


def test_accounting_is_queried_by_time_and_id() -> None:
    shell = Shell("sacct")
    sacct = Sacct(shell)

    assert len(sacct.ended(1_800_000_000, 1_800_000_030.5)) == 1
    assert {"--starttime=2027-01-15T08:00:00", "--endtime=2027-01-15T08:00:31"} < set(shell.ran[0])
    assert len(sacct.jobs([str(number) for number in range(501)])) == 2
    assert shell.ran[-1][-1] == "--jobs=500"


def recorded_sacct(command: list[str]) -> bytes:
    """Return a real sacct's output for a job of each end, with slurmdbd, without associations."""
    file = "sacct-22.05.json" if "--json" in command else "sacct-22.05.txt"
    return (FIXTURES / file).read_bytes()


@pytest.mark.parametrize(
    ("job_id", "expected"),
    [
        ("1", ("COMPLETED", 0, 0)),
        ("2", ("FAILED", 3, 0)),
        ("3", ("FAILED", 0, 11)),
        ("4", ("FAILED", 5, 0)),
        ("5", ("CANCELLED", 0, 0)),
        ("6", ("CANCELLED", 0, 0)),
        ("8", ("FAILED", 1, 0)),
        ("10", ("RUNNING", None, None)),
    ],
)
def test_sacct_text_corrects_its_json(
    job_id: str, expected: tuple[str, int | None, int | None]
) -> None:
    jobs = {job["job_id"]: job for job in Sacct(recorded_sacct).jobs(["1"])}

    job = jobs[job_id]
    assert (job["state"], job.get("exit_code"), job.get("signal")) == expected
    assert job["user"] == "www-data"


def test_accounting_without_job_returns_no_jobs() -> None:
    nothing = (FIXTURES / "sacct-22.05-nothing.json").read_bytes()

    assert Sacct(lambda _: nothing).jobs(["4711"]) == []


@pytest.mark.parametrize("command", [["/no/such/command"], ["false"], ["sh", "-c", "kill $$"]])
def test_failing_command_is_an_error(command: list[str]) -> None:
    with pytest.raises(SourceError, match=command[0]):
        run(command)
