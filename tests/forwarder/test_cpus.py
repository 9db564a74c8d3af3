"""CPU percentages are of the CPUs that Slurm allocated, threads or cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.hostlist import cpus_on_node, cpus_per_node, expand
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from tests.forwarder.clocks import FakeClock
from tests.forwarder.properties import patient
from tests.forwarder.trees import V2Job, host, record, write

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.daemon.health import Health

SECONDS = 10


class SmtNode:
    """A node of ``cores`` cores, each of ``threads`` threads, with one job."""

    def __init__(self, root: Path, health: Health, *, cores: int, threads: int) -> None:
        self.root, self.cores, self.threads = root, cores, threads
        host(root, cpus=cores * threads)
        for cpu in range(cores * threads):
            # As on x86: the second threads of all cores come after all first ones.
            write(
                root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list",
                ",".join(str(cpu % cores + one * cores) for one in range(threads)) + "\n",
            )
        self.job = V2Job(root, "job_7")
        self.clock = FakeClock()
        sources = Sources(
            str(root), Discovery(str(root), "n1"), Records(str(root / "jobs")), node="n1"
        )
        self.sampler = Sampler(sources, interval_seconds=SECONDS, health=health, clock=self.clock)

    def give(self, cores: int) -> None:
        """Limit the job to all threads of the first cores."""
        spans = (
            f"{one * self.cores}-{one * self.cores + cores - 1}" for one in range(self.threads)
        )
        self.job.file("cpuset.cpus.effective", ",".join(spans) + "\n")

    def slurm_conf(self, text: str) -> None:
        write(self.root / "etc/slurm/slurm.conf", text)

    def use(self, busy: float) -> list[float]:
        """Return the percentage while the job uses ``busy`` CPU seconds per second."""
        self.job.cpu(0)
        self.sampler.take()
        self.job.cpu(busy * SECONDS)
        self.clock.advance(SECONDS)
        return [sample["cpu_usage"] for sample in self.sampler.take().samples]


@pytest.mark.parametrize("cores", [32, 64])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_busy_cores_are_full_whatever_their_threads(
    tmp_path: Path, health: Health, cores: int, threads: int
) -> None:
    node = SmtNode(tmp_path, health, cores=64, threads=threads)
    node.give(cores)
    record(tmp_path / "jobs", "7", node="n1", node_list="n1", cpus_per_node=str(cores))

    assert node.use(cores) == [100]


@settings(patient, max_examples=30)
@given(
    threads=st.sampled_from([1, 2, 4]),
    cores=st.integers(1, 16),
    share=st.integers(1, 16),
    are_cores=st.booleans(),
    is_recorded=st.booleans(),
    use=st.floats(0, 1),
)
def test_percentage_is_of_slurms_cpus(
    tmp_path_factory: pytest.TempPathFactory,
    health: Health,
    *,
    threads: int,
    cores: int,
    share: int,
    are_cores: bool,
    is_recorded: bool,
    use: float,
) -> None:
    root = tmp_path_factory.mktemp("node")
    given_cores = min(share, cores)
    node = SmtNode(root, health, cores=cores, threads=threads)
    node.give(given_cores)
    per_core = 1 if are_cores else threads
    allocated = given_cores * per_core
    if is_recorded:
        lists = {"node_list": "m1,n[1-2]", "cpus_per_node": f"{allocated + 1},{allocated},3"}
        record(root / "jobs", "7", node="n1", **lists)
    else:
        node.slurm_conf(f"NodeName=DEFAULT CPUs={cores * per_core}\nNodeName=n[1-9] Sockets=1\n")

    (percent,) = node.use(use * allocated)

    assert percent == pytest.approx(100 * use, abs=0.1)


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("NodeName=n1 CPUs=8", [100]),
        ("NodeName=n[1-4] Sockets=2 CoresPerSocket=4 ThreadsPerCore=1", [100]),
        ("NodeName=n1 Boards=1 SocketsPerBoard=2 CoresPerSocket=4", [100]),
        ("NodeName=n1 Sockets=2 CoresPerSocket=4 ThreadsPerCore=2", [50]),
        ("NodeName=n1 Procs=16", [50]),
        # Neither cores nor threads, or no word about this node: nothing is certain.
        ("NodeName=n1 CPUs=12", []),
        ("NodeName=n1 CPUs=many", []),
        ("NodeName=n1 State=UNKNOWN", []),
        ("NodeName=n2 CPUs=8", []),
        ("NodeName=n[1-x] CPUs=8", []),
        ("", []),
    ],
)
def test_cpu_set_counts_as_slurm_conf_does(
    tmp_path: Path, health: Health, line: str, percent: list[float]
) -> None:
    node = SmtNode(tmp_path, health, cores=8, threads=2)
    node.give(4)
    node.slurm_conf(line + "\n")

    assert node.use(4) == percent
    assert (health.value("reader_errors_total", "cpus") > 0) == (not percent)


def test_one_thread_per_core_needs_no_record(tmp_path: Path, health: Health) -> None:
    node = SmtNode(tmp_path, health, cores=8, threads=1)
    node.give(4)

    assert node.use(2) == [50]


def test_more_cpus_than_allocated_are_100(tmp_path: Path, health: Health) -> None:
    node = SmtNode(tmp_path, health, cores=8, threads=2)
    record(tmp_path / "jobs", "7", node="n1", node_list="n1", cpus_per_node="2")

    assert node.use(16) == [100]


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 5)), min_size=1, max_size=6))
def test_each_node_has_its_own_cpus(groups: list[tuple[int, int]]) -> None:
    text = ",".join(f"{cpus}(x{times})" if times > 1 else str(cpus) for cpus, times in groups)
    counts = cpus_per_node(text)
    nodes = f"a[1-{len(counts)}]"

    assert [cpus_on_node(text, nodes, node) for node in expand(nodes)] == counts


@pytest.mark.parametrize(
    ("per_node", "nodes", "node", "cpus"),
    [
        ("4(x4),2", "r[1-2]n[1-2],m1", "m1", 2),
        ("4(x3),2", "r[1-2]n[1-2]", "r2n2", 2),
        ("4,2(x2)", "r1n[1-2],r2n1", "r2n1", 2),
        # The lists are not of the same nodes.
        ("4(x2),2", "n[1-2]", "n1", None),
        ("4,2", "n[1-3]", "n1", None),
        ("4(x999999999999),2", "n[1-999999999999]", "n1", None),
        ("4,2", "n[1-999999999999999]", "n1", None),
        ("0", "n1", "n1", None),
        ("4,2", "n1,n1", "n1", None),
    ],
)
def test_lists_that_differ_show_no_cpus(
    per_node: str, nodes: str, node: str, cpus: int | None
) -> None:
    assert cpus_on_node(per_node, nodes, node) == cpus
