"""The forwarder as a process: signals, kills, and the files that remain."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.spool.batch import decode
from tests.forwarder.daemon import Node
from tests.forwarder.fake_site import Reply, Site
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


STOP_SECONDS = 30.0
"""Bound of a stop. It is far below each wait that a stop must not sit out."""


@pytest.fixture
def node(tmp_path: Path, site: Site) -> Iterator[Node]:
    node = Node(tmp_path, site)
    yield node
    site.released.set()
    node.stop()


def journal_samples(node: Node) -> int:
    file = node.spool / "samples/open.journal"
    try:
        return decode(file.read_bytes()).samples
    except (FileNotFoundError, ValueError):
        return 0


def timestamps(site: Site) -> list[str]:
    return [sample["timestamp"] for body in site.accepted() for sample in body["samples"]]


def test_samples_reach_site_in_contract_format(node: Node, site: Site) -> None:
    node.start()
    site.wait_for(3)

    body = site.accepted()[-1]

    assert set(body) == {"node", "batch_id", "samples", "host"}
    assert body["node"] == "n1"
    assert body["samples"][0]["job_id"] == "7"
    assert timestamps(site) == sorted(set(timestamps(site)))


def test_sigterm_stops_before_next_push_and_spools_everything(node: Node, site: Site) -> None:
    node.configure(HPCOBS_PUSH_SECONDS="600")
    process = node.start()
    eventually(lambda: journal_samples(node) >= 2)
    node.signal(signal.SIGTERM)

    assert process.wait(STOP_SECONDS) == 0
    remaining = list((node.spool / "samples").iterdir())
    arrived = sum(len(body["samples"]) for body in site.accepted())
    assert arrived + sum(int(file.name.split("-")[1]) for file in remaining) >= 2
    assert not (node.spool / "samples/open.journal").exists()


def test_sigterm_does_not_wait_for_hanging_site(node: Node, site: Site) -> None:
    site.usual = Reply(hang=True)
    node.configure(HPCOBS_TIMEOUT_SECONDS="600")
    process = node.start()
    eventually(lambda: site.received)
    node.signal(signal.SIGTERM)

    assert process.wait(STOP_SECONDS) == 0


def test_sigterm_does_not_wait_for_hanging_slurmrestd(node: Node, site: Site) -> None:
    # The controller waits 60 s for a response of slurmrestd.
    site.by_path["/slurm/v0.0.40/jobs"] = Reply(hang=True)
    node.configure(SLURM_BASE_URL=site.url, SLURM_API_VERSION="v0.0.40")
    process = node.start("--role", "controller")
    eventually(lambda: site.received)
    node.signal(signal.SIGTERM)

    assert process.wait(STOP_SECONDS) == 0


def test_hanging_site_does_not_delay_passes(node: Node, site: Site) -> None:
    site.usual = Reply(hang=True)
    node.start()
    eventually(lambda: site.received)

    eventually(lambda: len(list((node.spool / "samples").glob("*.batch"))) >= 3)


def test_sigkill_loses_no_spooled_sample(node: Node, site: Site) -> None:
    node.configure(HPCOBS_PUSH_SECONDS="600")
    process = node.start()
    eventually(lambda: journal_samples(node) >= 5)
    node.signal(signal.SIGKILL)
    process.wait(STOP_SECONDS)
    spooled = journal_samples(node)

    node.configure(HPCOBS_PUSH_SECONDS="0.2")
    node.start()
    site.wait_for(2)

    recovered = [len(body["samples"]) for body in site.accepted()]
    assert spooled in recovered


def test_spooled_batches_arrive_in_order_after_outage(node: Node, site: Site) -> None:
    site.usual = Reply(503, headers=(("Retry-After", "0"),))
    node.start()
    eventually(lambda: len(list((node.spool / "samples").glob("*.batch*"))) >= 4)
    site.usual = Reply()

    site.wait_for(5)

    times = timestamps(site)
    assert times == sorted(set(times))


def test_sighup_reloads_configuration_and_token(node: Node, site: Site) -> None:
    node.start()
    site.wait_for(1)
    node.configure(HPCOBS_NODE="n9")
    node.token.write_text("another\n")
    node.signal(signal.SIGHUP)

    eventually(lambda: any(body["node"] == "n9" for body in site.accepted()))

    assert site.received[-1].headers["Authorization"] == "Bearer another"


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("HPCOBS_URL", "nonsense", "HPCOBS_URL: 'nonsense'"),
        ("HPCOBS_SPOOL_DIR", "/dev/null/spool", "the spool cannot be used"),
    ],
)
def test_sighup_with_wrong_configuration_changes_nothing(
    node: Node, site: Site, setting: str, value: str, reason: str
) -> None:
    process = node.start()
    site.wait_for(1)
    node.configure(**{setting: value})
    node.signal(signal.SIGHUP)
    eventually(lambda: f"the old configuration stays in use: {reason}" in node.log())
    accepted = len(site.accepted())

    site.wait_for(accepted + 2)

    assert process.poll() is None


def test_replaced_token_needs_no_signal(node: Node, site: Site) -> None:
    node.start()
    site.wait_for(1)
    replacement = node.root / "replacement"
    replacement.write_text("another\n")
    replacement.rename(node.token)

    eventually(lambda: site.received[-1].headers["Authorization"] == "Bearer another")


def test_health_file_is_for_node_exporter(node: Node, site: Site) -> None:
    node.start()
    site.wait_for(2)

    def health() -> str:
        file = node.root / "health.prom"
        return file.read_text() if file.exists() else ""

    eventually(lambda: "hpcobs_forwarder_samples_sent_total " in health())
    eventually(lambda: "hpcobs_forwarder_jobs 1\n" in health())


def test_second_forwarder_on_spool_fails_with_reason(node: Node, site: Site) -> None:
    node.start()
    site.wait_for(1)

    second = node.run()

    assert second.returncode == 2
    assert "in use by another forwarder" in second.stderr


def test_bad_setting_stops_start_with_one_line(node: Node) -> None:
    node.configure(HPCOBS_INTERVAL_SECONDS="often")

    ended = node.run()

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "HPCOBS_INTERVAL_SECONDS" in ended.stderr


def test_resident_memory_stays_small(node: Node, site: Site) -> None:
    node.start()
    site.wait_for(2)
    assert node.process is not None
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as status:
        (resident,) = (line for line in status if line.startswith("VmHWM"))

    assert int(resident.split()[1]) < 30 * 1024
