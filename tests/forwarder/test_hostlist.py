"""Slurm's compressed lists, and the kernel's."""

from __future__ import annotations

import pytest

from hpcobs_forwarder.node.cgroups.files import count_ids
from hpcobs_forwarder.node.hostlist import cpus_on_node, cpus_per_node, expand


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("n1", ["n1"]),
        ("n[1-2]", ["n1", "n2"]),
        ("n[08-10],m1", ["n08", "n09", "n10", "m1"]),
        ("gpu[1,3-4]-ib,login", ["gpu1-ib", "gpu3-ib", "gpu4-ib", "login"]),
        ("n[08-10,2],m", ["n08", "n09", "n10", "n2", "m"]),
        ("a[1-2]-[0,3]b", ["a1-0b", "a1-3b", "a2-0b", "a2-3b"]),
        ("/dev/nvidia[0-1]", ["/dev/nvidia0", "/dev/nvidia1"]),
        ("n[2-1]", []),
        ("n[1", ["n[1"]),
        ("", []),
        (",,", []),
    ],
)
def test_host_list_expands_in_slurms_order(text: str, hosts: list[str]) -> None:
    assert expand(text) == hosts


@pytest.mark.parametrize("text", ["n[a-b]", "n[1-]", "n[]", "n[0-999999999]-[0-999999999]"])
def test_wrong_or_huge_list_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"list of numbers|more than"):
        expand(text, 65_536)


def test_cpus_per_node_are_repeated() -> None:
    assert cpus_per_node("4(x2),2") == [4, 4, 2]


@pytest.mark.parametrize(
    ("per_node", "nodes", "node", "cpus"),
    [
        ("4(x2),2", "n[1-3]", "n3", 2),
        ("4(x2),2", "n[1-3]", "n1", 4),
        ("8(x3)", "whatever[", "unknown", 8),
        ("4,2", "n[1-2]", "n9", None),
        ("", "n1", "n1", None),
        ("many", "n1", "n1", None),
    ],
)
def test_cpus_on_node_follow_list_position(
    per_node: str, nodes: str, node: str, cpus: int | None
) -> None:
    assert cpus_on_node(per_node, nodes, node) == cpus


@pytest.mark.parametrize(("text", "count"), [(b"0-3,8\n", 5), (b"7\n", 1), (b"\n", 0)])
def test_kernel_lists_are_counted(text: bytes, count: int) -> None:
    assert count_ids(text) == count
