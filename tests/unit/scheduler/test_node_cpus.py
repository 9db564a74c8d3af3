"""Slurm's compressed counts of CPUs: its notation is parsed, all other text is rejected."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.scheduler.hostlists import node_cpus


@given(st.lists(st.tuples(st.integers(1, 1024), st.integers(1, 50)), min_size=1, max_size=20))
def test_slurms_notation_is_parsed(groups: list[tuple[int, int]]) -> None:
    text = ",".join(f"{cpus}(x{nodes})" if nodes > 1 else str(cpus) for cpus, nodes in groups)
    assert node_cpus(text) == tuple(cpus for cpus, nodes in groups for _ in range(nodes))


@pytest.mark.parametrize(
    "text", ["", "a", "4(x2", "4x2", "4(x0)", "0", "-1", "4,", "4(x20001)", "4 (x2)", "²"]
)
def test_other_texts_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"CPUs per node|20000 nodes"):
        node_cpus(text)


@given(st.text())
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    with suppress(ValueError):
        assert all(cpus > 0 for cpus in node_cpus(text))
