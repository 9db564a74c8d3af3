"""What hpcobs relies on in Slurm itself, without hpcobs. A release that changes it fails here."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.slurm.cases import NO_TEXT
from tests.slurm.lab import NODES, Slurm, seconds_of, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.slurm.releases import Release

OLDER = "22.05"
LISTS = {OLDER: ("squeue", "--states=all"), "24.11": ("scontrol", "show", "jobs")}
DOWN = {OLDER: (500, -1), "24.11": (502, 1800)}
"""By release: the status and error number of slurmrestd while slurmctld is down."""


@pytest.fixture(scope="module")
def slurm(release: Release) -> Iterator[Slurm]:
    """Start Slurm with slurmdbd. Commands wait for a lost slurmctld for two seconds."""
    slurm = Slurm(release, accounting=True)
    try:
        slurm.configure({}, MessageTimeout=2)
        yield slurm.start()
    finally:
        slurm.stop()


def _running(slurm: Slurm, *options: str) -> str:
    job_id = slurm.submit("exec sleep 300", *options)
    slurm.wait_for(job_id, "RUNNING")
    return job_id


def _sacct(slurm: Slurm, *options: str) -> list[list[str]]:
    fields = "--format=JobID,State,Submit,Start,End,ElapsedRaw"
    lines = slurm.programs.run("sacct", "-X", "-n", "-P", fields, *options).splitlines()
    return [line.split("|") for line in lines]


def test_requeue_sets_submit_time_anew(slurm: Slurm) -> None:
    job_id = _running(slurm, "--requeue")
    time.sleep(1.1)
    before = slurm.job(job_id)
    slurm.control("requeue", job_id)
    slurm.wait_for(job_id, "PENDING")
    after = slurm.job(job_id)
    slurm.cancel(job_id)

    # So the submit time alone does not name a submission: the restart count has to be compared.
    assert after["SubmitTime"] > before["SubmitTime"]
    assert (before["Restarts"], after["Restarts"]) == ("0", "1")
    # The planned start of the second run, not a start.
    assert after["StartTime"] > after["SubmitTime"]


def test_suspended_job_has_both_its_times(slurm: Slurm) -> None:
    job_id = _running(slurm)
    slurm.control("suspend", job_id)
    suspended = slurm.job(job_id)
    time.sleep(3)
    slurm.control("resume", job_id)
    resumed = slurm.job(job_id)
    slurm.cancel(job_id)
    slurm.wait_for(job_id, "CANCELLED")
    ended = slurm.job(job_id)

    assert suspended["JobState"] == "SUSPENDED"
    assert resumed["StartTime"] == suspended["StartTime"]
    # SuspendTime is the time of the resumption once the job runs again.
    assert resumed["SuspendTime"] > suspended["SuspendTime"]
    assert resumed["SecsPreSuspend"] == suspended["SecsPreSuspend"]
    assert seconds_of(ended["RunTime"]) <= 2


def test_job_cancelled_while_waiting_has_start(slurm: Slurm) -> None:
    job_id = slurm.submit("true", "--hold")
    time.sleep(1.1)
    slurm.cancel(job_id)
    slurm.wait_for(job_id, "CANCELLED")
    job = slurm.job(job_id)

    assert job["StartTime"] == job["EndTime"] > job["SubmitTime"]
    assert (job["RunTime"], job["NodeList"], job["EligibleTime"]) == ("00:00:00", "", "Unknown")


def test_sacct_lists_held_job_by_state(slurm: Slurm) -> None:
    job_id = slurm.submit("true", "--hold")
    slurm.cancel(job_id)
    until(lambda: _sacct(slurm, f"--jobs={job_id}"))

    since = ("--allusers", "--starttime=now-1hour")
    assert job_id not in [row[0] for row in _sacct(slurm, *since)]
    ended = _sacct(slurm, *since, "--endtime=now", "--state=CANCELLED")
    (row,) = [row for row in ended if row[0] == job_id]
    assert row[5] == "0"


def test_name_is_printed_byte_by_byte(slurm: Slurm) -> None:
    job_id = slurm.submit("true", b"-J" + NO_TEXT)
    slurm.wait_for(job_id, "COMPLETED")
    command, *words = LISTS[slurm.release.version]
    output = slurm.programs.run(command, "--json", *words)

    assert '"name": "bad\ufffd\ufffdname"' in output, "the lab decodes with U+FFFD"


def test_lost_state_begins_with_first_id(slurm: Slurm) -> None:
    job_id = slurm.submit("true")
    slurm.wait_for(job_id, "COMPLETED")
    slurm.lose_all_jobs()
    assert int(slurm.submit("true")) > int(job_id), "-c alone uses no id again"

    slurm.lose_all_state()
    assert slurm.submit("true") == "1"


def test_failed_query_looks_like_no_jobs(slurm: Slurm) -> None:
    token = slurm.token()
    slurm.stop_controller()
    command, *words = LISTS[slurm.release.version]
    done = slurm.programs.attempt(command, "--json", *words)
    headers = {"X-SLURM-USER-NAME": "slurm", "X-SLURM-USER-TOKEN": token}
    url = f"{slurm.rest_url}/slurm/{slurm.release.rest_api}/jobs"
    response = httpx.get(url, headers=headers, timeout=30)
    slurm.start_controller()

    answer: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, answer["jobs"]) == (0, [])
    if slurm.release.version == OLDER:
        assert answer["errors"]
    else:
        assert (answer["errors"], answer["last_update"]["number"]) == ([], 0)
    (error,) = response.json()["errors"]
    assert (response.status_code, error["error_number"]) == DOWN[slurm.release.version]
    assert response.json()["jobs"] == []


def test_reconfigure_starts_slurmctld_hooks_later(slurm: Slurm) -> None:
    until(lambda: slurm.idle_nodes() == len(NODES))
    hook = slurm.folder / "hooks/start"
    called = slurm.folder / "ctld/called"
    hook.write_text(f"#!/bin/sh\n: >{called}\n")
    hook.chmod(0o755)
    slurm.reconfigure(PrologSlurmctld=hook)
    until(lambda: slurm.idle_nodes() == len(NODES))
    slurm.wait_for(slurm.submit("true"), "COMPLETED")

    # 22.05 takes the setting, and needs a restart of slurmctld to call it.
    assert called.exists() == (slurm.release.version != OLDER)
    slurm.restart_controller()
    slurm.wait_for(slurm.submit("true"), "COMPLETED")
    assert called.exists()
