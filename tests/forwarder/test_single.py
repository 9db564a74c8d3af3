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


def test_a_dry_run_prints_the_batch_and_touches_nothing(node: Node, site: Site) -> None:
    ended = node.run("--dry-run")

    body = json.loads(ended.stdout)
    assert body["samples"][0]["job_id"] == "7"
    assert body["host"]["cpus"] == 8
    assert site.received == []
    assert not node.spool.exists()


def test_jobs_shows_what_the_kernel_knows(node: Node) -> None:
    node.job.memory(current_mb=100, anon_mb=60)
    node.job.file("memory.max", f"{512 * MIB}\n")

    heading, row = node.run("jobs").stdout.splitlines()

    shown = dict(zip(heading.split(), row.split()))
    assert shown["JOB"] == "7"
    assert (shown["MEM_MB"], shown["ANON_MB"], shown["LIMIT_MB"]) == ("100", "60", "512")
