"""Samples go to the node that Slurm names, which need not be the host's name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs.domain.values import MAX_TEXT, NODE, is_node
from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.names import NodeNames, UnknownNodeError, node_in
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from hpcobs_forwarder.node_names import LONGEST, RULE, is_node_name
from hpcobs_forwarder.spool.batch import decode
from hpcobs_forwarder.spool.fallback import KeptFile
from hpcobs_forwarder.spool.journal import BatchWriter
from tests.forwarder.clocks import FakeClock
from tests.forwarder.daemon import Node
from tests.forwarder.held import Held
from tests.forwarder.properties import patient
from tests.forwarder.trees import V1Job, V2Job, host, record

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool
    from tests.forwarder.fake_site import Site

SLURMS = "cs2.example.org"


class Named:
    """A node that the forwarder calls n1."""

    def __init__(self, root: Path, health: Health) -> None:
        self.root = root
        host(root)
        self._clock = FakeClock()
        sources = Sources(
            str(root), Discovery(str(root), "n1"), Records(str(root / "jobs")), node="n1"
        )
        self._sampler = Sampler(sources, interval_seconds=10, health=health, clock=self._clock)

    def record(self, job_id: str, **fields: Any) -> Path:
        return record(self.root / "jobs", job_id, **fields)

    def take(self) -> dict[str, list[str]]:
        """Make two passes. Return the ids of the sampled jobs by node."""
        self._sampler.take()
        self._clock.advance(10)
        by_node = self._sampler.take().by_node
        self._clock.advance(10)
        return {
            node: sorted(sample["job_id"] for sample in samples)
            for node, samples in by_node.items()
        }

    def percent(self) -> float:
        """Make a pass. Return the CPU percent of the only sample."""
        (sample,) = self._sampler.take().samples
        percent: float = sample["cpu_usage"]
        return percent


@pytest.fixture
def node(tmp_path: Path, health: Health) -> Named:
    return Named(tmp_path, health)


def test_records_name_is_used_for_samples_and_host(node: Named) -> None:
    V2Job(node.root, "job_1")
    node.record("1", node=SLURMS)

    assert node.take() == {SLURMS: ["1"]}


def test_configured_name_is_used_without_records(node: Named) -> None:
    V2Job(node.root, "job_1")

    assert node.take() == {"n1": ["1"]}


def test_job_without_record_is_on_the_hosts_node(node: Named) -> None:
    V2Job(node.root, "job_1")
    V2Job(node.root, "job_2")
    node.record("1", node=SLURMS)
    node.record("2")

    assert node.take() == {SLURMS: ["1", "2"]}


def test_idle_node_keeps_slurms_name(node: Named) -> None:
    job = V2Job(node.root, "job_1")
    kept = node.record("1", node=SLURMS)
    node.take()
    job.vanish()
    kept.unlink()

    assert node.take() == {SLURMS: []}


@pytest.mark.parametrize("is_v2", [True, False])
def test_folders_name_is_used_without_records(node: Named, *, is_v2: bool) -> None:
    if is_v2:
        V2Job(node.root, "job_1", f"{SLURMS}_slurmstepd.scope")
    else:
        V1Job(node.root, "job_1", f"slurm_{SLURMS}")

    assert node.take() == {SLURMS: ["1"]}


def test_nodes_of_one_host_have_own_batches(node: Named) -> None:
    for name in ("n1", "n2", "n3"):
        V2Job(node.root, f"job_{name[1]}", f"{name}_slurmstepd.scope")
    node.record("2", node="n2")

    # The folder of n3 belongs to another forwarder: no Prolog recorded its job here.
    assert node.take() == {"n1": ["1"], "n2": ["2"]}


def test_job_of_unknown_node_is_counted(node: Named, health: Health) -> None:
    for number in range(3):
        V2Job(node.root, f"job_{number}")
    node.record("1", node="a1")
    node.record("2", node="a2")

    assert node.take() == {"a1": ["1"], "a2": ["2"]}
    assert health.value("reader_errors_total", "node") == 2


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a\x00", "x" * 256, 7, None, ["n2"], {}])
def test_name_that_site_rejects_is_not_used(node: Named, name: object) -> None:
    V2Job(node.root, "job_1")
    node.record("1", node=name)

    assert node.take() == {"n1": ["1"]}


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


@settings(patient, max_examples=30)
@given(st.dictionaries(st.integers(1, 99).map(str), names, min_size=1, max_size=6))
def test_each_sample_is_of_its_records_node(
    tmp_path_factory: pytest.TempPathFactory, health: Health, nodes: dict[str, str]
) -> None:
    node = Named(tmp_path_factory.mktemp("node"), health)
    for job_id, name in nodes.items():
        V2Job(node.root, f"job_{job_id}")
        node.record(job_id, node=name)

    taken = node.take()

    assert {job_id: name for name, ids in taken.items() for job_id in ids} == nodes


@given(names, names)
def test_name_in_path_is_found(name: str, configured: str) -> None:
    for path in (f"slurm_{name}/uid_1/job_7", f"/r/x.slice/{name}_slurmstepd.scope/job_7"):
        assert node_in(path) == name
        assert NodeNames(configured).of_job(None, path) == name
    assert node_in("/slurm_no/no_slurmstepd.scope/fs/system.slice/slurmstepd.scope/job_7") is None


def test_node_in_doubt_is_an_error() -> None:
    found = NodeNames("n1")
    found.learn(["a1", "a2"], [])

    with pytest.raises(UnknownNodeError, match="HPCOBS_NODE"):
        found.of_job(None, "slurmstepd.scope/job_7")


def test_dry_run_prints_slurms_name(tmp_path: Path, site: Site) -> None:
    node = Node(tmp_path, site)
    record(node.spool / "jobs", "7", node=SLURMS)

    body = json.loads(node.run("--dry-run").stdout)

    assert (body["node"], [sample["job_id"] for sample in body["samples"]]) == (SLURMS, ["7"])


def test_once_sends_a_batch_per_node(tmp_path: Path, site: Site) -> None:
    node = Node(tmp_path, site)
    V2Job(node.root, "job_8")
    record(node.spool / "jobs", "7", node="a1")
    record(node.spool / "jobs", "8", node="a2")

    assert node.run("--once").returncode == 0

    sent = {body["node"]: body for body in site.accepted()}
    assert {name: body["samples"][0]["job_id"] for name, body in sent.items()} == {
        "a1": "7",
        "a2": "8",
    }
    assert all(body["host"]["cpus"] == 8 for body in sent.values())


def test_idle_nodes_of_one_host_are_all_reported(spool: Spool, clock: FakeClock) -> None:
    writer = BatchWriter(spool, "n1", clock)
    for _ in range(2):
        writer.add_nodes({"a1": [], "a2": [{"job_id": "1"}], "a3": []}, {"cpus": 8}, None)
        writer.seal(None)
        clock.advance(30)

    batches = [decode(entry.read()) for entry in spool.waiting_batches()]

    counted = sorted((batch.opening["node"], batch.samples) for batch in batches)
    assert counted == [("a1", 0), ("a2", 1), ("a2", 1), ("a3", 0)]
    assert all(batch.host == b'{"cpus":8}' for batch in batches)


@pytest.mark.parametrize("version", [1, 2])
def test_job_on_two_nodes_of_host_is_read_twice(node: Named, version: int) -> None:
    for name in ("n7", "n8"):
        if version == 1:
            V1Job(node.root, "job_1", f"slurm_{name}")
        else:
            V2Job(node.root, "job_1", f"{name}_slurmstepd.scope")
    node.record("1", node="n8", node_list="n[7-8]", cpus_per_node="4(x2)")
    node.record("2", node="n7")

    assert node.take() == {"n7": ["1"], "n8": ["1"]}


def test_other_nodes_record_has_other_cpus(node: Named) -> None:
    job = V2Job(node.root, "job_1", "n7_slurmstepd.scope")
    node.record("1", node="n8", node_list="n[7-8]", cpus_per_node="4,1")
    node.take()
    job.cpu(20)

    assert node.percent() == 50.0


def test_name_of_slurm_outlives_a_restart(tmp_path: Path, health: Health) -> None:
    node = Held(tmp_path, health)
    kept = node.prolog(node=SLURMS)
    node.take()
    kept.unlink()
    node.restart()

    assert node.sampler.take().by_node == {SLURMS: []}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"configured": "n1", "names": ["cs2"]}', ["cs2"]),
        ('{"configured": "n1", "names": ["b", "a", "", 7, "a b"]}', ["a", "b"]),
        ('{"configured": "n9", "names": ["cs2"]}', ["n1"]),  # the node was configured anew
        ('{"configured": "n1", "names": 7}', ["n1"]),
        ('{"configured": "n1"}', ["n1"]),
        ("[]", ["n1"]),
        ("[" * 100_000, ["n1"]),
        ("\x00", ["n1"]),
        ("", ["n1"]),
    ],
)
def test_kept_names_are_used_until_slurm_names_one(
    tmp_path: Path, text: str, names: list[str]
) -> None:
    (tmp_path / "names").write_text(text)
    found = NodeNames("n1", KeptFile(str(tmp_path / "names")))
    found.learn([], [])
    assert found.all() == names

    found.learn(["true"], [])

    assert found.all() == ["true"]


def test_names_are_saved_once_the_disk_has_room(tmp_path: Path) -> None:
    found = NodeNames("n1", KeptFile(str(tmp_path / "spool/names")))
    found.learn(["cs2"], [])
    with pytest.raises(OSError, match="names"):
        found.save()
    (tmp_path / "spool").mkdir()
    found.save()

    again = NodeNames("n1", KeptFile(str(tmp_path / "spool/names")))
    again.learn([], [])

    assert again.all() == ["cs2"]


@given(st.text(max_size=260) | st.text(st.characters(codec=None), max_size=4))
@settings(max_examples=500, deadline=None)
def test_names_have_the_rule_of_the_site(name: str) -> None:
    half = any("\ud800" <= character <= "\udfff" for character in name)
    assert is_node_name(name) == (is_node(name) and not half)


def test_pattern_is_that_of_the_site() -> None:
    assert (RULE, LONGEST) == (NODE, MAX_TEXT)
