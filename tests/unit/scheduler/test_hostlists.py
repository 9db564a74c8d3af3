"""Slurm's compressed node lists: expanded as scontrol does, with a limit checked before."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs.domain.errors import InvalidInputError
from hpcobs.scheduler.hostlists import MAX_NODES, expanded


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("", []),
        ("n1", ["n1"]),
        ("n[1-2]", ["n1", "n2"]),
        ("n[01-04,07],login1", ["n01", "n02", "n03", "n04", "n07", "login1"]),
        ("n[3,1],m1", ["n3", "n1", "m1"]),
        ("n[098-101]", ["n098", "n099", "n100", "n101"]),
        ("rack[1-2]node[1-2]", ["rack1node1", "rack1node2", "rack2node1", "rack2node2"]),
        ("n[1-2]-ib.cluster", ["n1-ib.cluster", "n2-ib.cluster"]),
        ("n1,n1,n[1-2]", ["n1", "n2"]),
        ("n[8-11]", ["n8", "n9", "n10", "n11"]),
        ("n[08-11]", ["n08", "n09", "n10", "n11"]),
        ("n[98-101]", ["n98", "n99", "n100", "n101"]),
        ("n[0998-1001]", ["n0998", "n0999", "n1000", "n1001"]),
        ("a1-2[09-10]", ["a1-209", "a1-210"]),
    ],
)
def test_list_is_expanded_in_its_order(text: str, nodes: list[str]) -> None:
    assert list(expanded(text)) == nodes


@pytest.mark.parametrize(
    "text",
    [
        "n[1-999999999]",
        "n[1-99999999999999999]",
        "n[1-150]x[1-150]",
        "n[1-9999999],n[9999999-1]",
        ",".join(f"n{number}" for number in range(MAX_NODES + 1)),
        "n[1-10]" * 5,
        "n" * 300_000,
    ],
)
def test_giant_lists_are_rejected_unexpanded(text: str) -> None:
    with pytest.raises(InvalidInputError, match="at the most"):
        expanded(text)


@pytest.mark.parametrize(
    "text",
    [
        "n[1-2", "n1]", "n[]", "n[[1]]", "[1-3]", "n[4-1]", "n[a-b]", "n[1-2][3-4]", "n1,,n2",
        ",n1", "@group", "a!b", "a&b", "a^b", "n*", "n?", "n[1-9/2]", "n 1", "n1\nn2", "n1\0",
        "(null)", "None assigned", "[" * 1000, "n[" * 1000, "n[1,]", "n[1-2-3]", "n[98-0100]",
    ],
)  # fmt: skip
def test_text_unlike_slurms_is_rejected(text: str) -> None:
    with pytest.raises(InvalidInputError, match="node_list"):
        expanded(text)


@given(st.integers(0, 5000), st.integers(0, 100), st.integers(1, 6))
def test_range_has_all_its_nodes(first: int, more: int, width: int) -> None:
    nodes = expanded(f"n[{first:0{width}}-{first + more:0{width}}]")
    assert set(nodes) == {f"n{number:0{width}}" for number in range(first, first + more + 1)}


@given(st.text("n1[]-,0a", max_size=60))
@settings(max_examples=300)
def test_any_text_is_expanded_or_rejected(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        assert len(expanded(text)) <= MAX_NODES
