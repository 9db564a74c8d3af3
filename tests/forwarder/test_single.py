"""What is done once and by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.forwarder.daemon import Node
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.trees import MIB

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def node(tmp_path: Path, site: Site) -> Node:
    return Node(tmp_path, site)


def test_once_sends_one_sample_of_every_job_and_what_waited(node: Node, site: Site) -> None:
    events = node.spool / "events"
    events.mkdir(parents=True)
    (events / "1700000000000-7-1.started.json").write_text('{"job_id": "7"}')

    assert node.run("--once").returncode == 0

    assert [one.path for one in site.received] == ["/v1/events/job-started", "/v1/samples"]
    assert [len(body["samples"]) for body in site.accepted()] == [1]


def test_once_keeps_what_it_cannot_send(node: Node, site: Site) -> None:
    site.usual = Reply(503)

    assert node.run("--once").returncode == 1

    assert len(list((node.spool / "samples").glob("*.batch.gz"))) == 1


def test_once_says_what_became_of_it(node: Node) -> None:
    assert "1 samples and 0 events were sent, 0 files wait" in node.run("--once").stderr


def test_a_dry_run_and_a_look_at_the_jobs_need_no_address(node: Node) -> None:
    node.configure(HPCOBS_URL="")

    assert json.loads(node.run("--dry-run").stdout)["node"] == "n1"
    assert node.run("jobs").returncode == 0
    assert "HPCOBS_URL is not set" in node.run("--once").stderr


def test_a_controllers_dry_run_prints_what_slurm_says(node: Node, site: Site) -> None:
    slurm = {
        "jobs": [{"job_id": 7, "user_name": "ada", "job_state": "RUNNING", "cluster": "lab"}],
        "nodes": [{"name": "n1", "state": "idle"}],
    }
    for what in slurm:
        site.by_path[f"/slurm/v0.0.38/{what}"] = Reply(200, json.dumps(slurm))
    node.configure(SLURM_BASE_URL=site.url, SLURM_API_VERSION="v0.0.38")

    told = json.loads(node.run("--role", "controller", "--dry-run").stdout)

    assert told == {
        "cluster_name": "lab",
        "jobs": [{"job_id": "7", "user": "ada", "state": "RUNNING"}],
        "nodes": [{"node": "n1", "state": "idle"}],
    }


@pytest.mark.parametrize("option", ["--dry-run", "--once"])
def test_a_slurm_that_does_not_answer_is_one_line_and_a_failure(
    node: Node, site: Site, option: str
) -> None:
    site.by_path["/slurm/v0.0.38/jobs"] = Reply(500, "out of order")
    node.configure(SLURM_BASE_URL=site.url, SLURM_API_VERSION="v0.0.38")

    ended = node.run("--role", "controller", option)

    assert ended.returncode == 1
    assert "slurmrestd responded 500" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_dry_run_prints_the_batch_and_touches_nothing(node: Node, site: Site) -> None:
    ended = node.run("--dry-run")

    body = json.loads(ended.stdout)
    assert body["samples"][0]["job_id"] == "7"
    assert body["host"]["cpus"] == 8
    assert site.received == []
    assert not node.spool.exists()


def test_a_node_without_jobs_says_so(node: Node) -> None:
    node.job.vanish()

    assert "no job of Slurm's is seen here" in node.run("jobs").stderr


def test_jobs_shows_what_the_kernel_knows(node: Node) -> None:
    node.job.memory(current_mb=100, anon_mb=60)
    node.job.file("memory.max", f"{512 * MIB}\n")

    heading, row = node.run("jobs").stdout.splitlines()

    shown = dict(zip(heading.split(), row.split()))
    assert shown["JOB"] == "7"
    assert (shown["MEM_MB"], shown["ANON_MB"], shown["LIMIT_MB"]) == ("100", "60", "512")
