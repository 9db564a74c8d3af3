"""The commands for an administrator: --once, --dry-run and jobs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.daemon.config import Config, load
from hpcobs_forwarder.single import dry_run, show_jobs
from tests.forwarder.daemon import Node
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.trees import MIB, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def node(tmp_path: Path, site: Site) -> Node:
    return Node(tmp_path, site)


def test_once_sends_new_samples_and_queued_events(node: Node, site: Site) -> None:
    events = node.spool / "events"
    events.mkdir(parents=True)
    (events / "1700000000000-7-1.started.json").write_text('{"job_id": "7"}')

    assert node.run("--once").returncode == 0

    assert [one.path for one in site.received] == ["/v1/events/job-started", "/v1/samples"]
    assert [len(body["samples"]) for body in site.accepted()] == [1]


def test_once_keeps_unsent_batches(node: Node, site: Site) -> None:
    site.usual = Reply(503)

    assert node.run("--once").returncode == 1

    assert len(list((node.spool / "samples").glob("*.batch.gz"))) == 1


def test_once_reports_its_result(node: Node) -> None:
    assert "1 samples and 0 events were sent, 0 files are queued" in node.run("--once").stderr


def test_dry_run_and_jobs_need_no_url(node: Node) -> None:
    node.configure(HPCOBS_URL="")

    assert json.loads(node.run("--dry-run").stdout)["node"] == "n1"
    assert node.run("jobs").returncode == 0
    assert "HPCOBS_URL is not set" in node.run("--once").stderr


def test_controller_dry_run_prints_slurm_jobs(node: Node, site: Site) -> None:
    slurm = {
        "jobs": [{"job_id": 7, "user_name": "ada", "job_state": "RUNNING", "cluster": "lab"}],
        "nodes": [{"name": "n1", "state": "idle"}],
    }
    for what in slurm:
        site.by_path[f"/slurm/v0.0.38/{what}"] = Reply(200, json.dumps(slurm))
    node.configure(SLURM_BASE_URL=site.url, SLURM_API_VERSION="v0.0.38")

    printed = json.loads(node.run("--role", "controller", "--dry-run").stdout)

    assert printed == {
        "cluster_name": "lab",
        "jobs": [{"job_id": "7", "user": "ada", "state": "RUNNING"}],
        "nodes": [{"node": "n1", "state": "idle"}],
    }


@pytest.mark.parametrize("option", ["--dry-run", "--once"])
def test_failing_slurmrestd_prints_one_line_and_fails(node: Node, site: Site, option: str) -> None:
    site.by_path["/slurm/v0.0.38/jobs"] = Reply(500, "out of order")
    node.configure(SLURM_BASE_URL=site.url, SLURM_API_VERSION="v0.0.38")

    ended = node.run("--role", "controller", option)

    assert ended.returncode == 1
    assert "slurmrestd: response 500 without JSON" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_dry_run_prints_batch_and_changes_nothing(node: Node, site: Site) -> None:
    ended = node.run("--dry-run")

    body = json.loads(ended.stdout)
    assert body["samples"][0]["job_id"] == "7"
    assert body["host"]["cpus"] == 8
    assert site.received == []
    assert not node.spool.exists()


def test_jobs_reports_node_without_jobs(node: Node) -> None:
    node.job.vanish()

    assert "no Slurm job was found on this node" in node.run("jobs").stderr


def test_jobs_shows_values_of_the_kernel(node: Node) -> None:
    node.job.memory(current_mb=100, anon_mb=60)
    node.job.file("memory.max", f"{512 * MIB}\n")

    heading, row = node.run("jobs").stdout.splitlines()

    shown = dict(zip(heading.split(), row.split()))
    assert shown["JOB"] == "7"
    assert (shown["MEM_MB"], shown["ANON_MB"], shown["LIMIT_MB"]) == ("100", "60", "512")


@pytest.mark.parametrize("command", [dry_run, show_jobs])
@pytest.mark.parametrize("is_young", [False, True])
def test_commands_show_gpus_of_rocm_smi(
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[[Config], int],
    *,
    is_young: bool,
) -> None:
    tool = node.root / "rocm-smi"
    tool.write_text('#!/bin/sh\necho \'{"card0": {"GPU use (%)": "80"}}\'\n')
    tool.chmod(0o755)
    monkeypatch.setattr("hpcobs_forwarder.node.gpus.rocm_smi._COMMANDS", (str(tool),))
    # A young job has a sample in the first of the two passes, which is not shown.
    began = time.clock_gettime(time.CLOCK_BOOTTIME) if is_young else 0
    record(node.spool / "jobs", "7", gpus="0", uptime_seconds=str(began))
    node.configure(HPCOBS_GPUS="amd", HPCOBS_INTERVAL_SECONDS="10")

    command(load("node", str(node.config), {})._replace(root=str(node.root)))

    assert "80.0" in capsys.readouterr().out
