"""Numbers of drivers and tools: those that cannot be right are dropped, each alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs_forwarder.node.gpus.values import Values
from tests.forwarder.properties import patient


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (42, "%", 42),
        (0, "", 0),
        (100.0, "%", 100),
        ("42", "%", 42),
        (" 42.5 % ", "%", 42.5),
        ("90.0 W", "W", 90),
        ("33.0c", "C", 33),
        ("33 °C", "C", 33),
        ("64 MiB", "MB", 64),
        ({"value": 42, "unit": "%"}, "%", 42),
        ("1e1", "", 10),
    ],
)
def test_number_is_read_in_any_form(value: Any, unit: str, expected: float) -> None:
    values = Values("GPU 0")

    assert values.within("field", 100, value, unit) == expected
    assert values.dropped == []


BLANKS = [
    None,
    "",
    "N/A",
    "[N/A]",
    "n/a ",
    "None",
    "Not Supported",
    0xFFFF,
    2**64 - 1,
    {"value": "N/A", "unit": "W"},
]


@pytest.mark.parametrize("value", BLANKS)
def test_unreported_number_is_no_error(value: Any) -> None:
    values = Values("GPU 0")

    assert values.within("field", 100, value) is None
    assert values.dropped == []


@pytest.mark.parametrize(
    "value",
    [
        101, 100.01, -1, 686_103, math.nan, math.inf, -math.inf, "Infinity", "NaN", "nan", "-5",
        "0x10", "1,024", "5 kW", "5 GB", "5 % %", "many", [], {}, object(), b"5", 10**400,
        pytest.param(10**5000, id="huge"),
    ],
)  # fmt: skip
def test_wrong_number_is_dropped_and_recorded(value: Any) -> None:
    values = Values("GPU 3")

    assert values.within("field", 100, value, "W") is None
    assert len(values.dropped) == 1
    assert values.dropped[0].startswith("GPU 3: field: ")


@pytest.mark.parametrize(
    ("used", "total", "expected"),
    [
        (1024, 2048, (1024, 2048)),
        (2048, 2048, (2048, 2048)),
        (2049, 2048, (None, 2048)),
        (-1, 2048, (None, 2048)),
        (1024, None, (1024, None)),
        (1024, 1 << 60, (1024, None)),
        ("N/A", "2048 MB", (None, 2048)),
    ],
)
def test_memory_in_use_is_at_most_the_total(
    used: Any, total: Any, expected: tuple[int | None, int | None]
) -> None:
    assert Values("GPU 0").memory(used, total) == expected


ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.dictionaries(st.sampled_from(["value", "unit"]), st.integers() | st.text())
)  # fmt: skip


@patient
@given(ANYTHING, ANYTHING, st.sampled_from(["", "%", "W", "C", "MB"]))
def test_any_value_is_in_range_or_absent(first: Any, second: Any, unit: str) -> None:
    values = Values("GPU 0")

    found = values.within("field", 100, first, unit)
    used, total = values.memory(first, second)

    assert found is None or 0 <= found <= 100
    assert used is None or total is None or 0 <= used <= total
