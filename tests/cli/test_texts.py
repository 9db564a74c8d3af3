"""Values in the form that people read."""

from __future__ import annotations

import pytest

from hpcobs_cli import texts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0s"),
        (59.9, "59s"),
        (200, "3m 20s"),
        (3900, "1h 05m"),
        (183_600, "2d 03h"),
    ],
)
def test_duration_has_two_units(seconds: float | None, text: str) -> None:
    assert texts.duration(seconds) == text


@pytest.mark.parametrize(
    ("megabytes", "text"), [(None, "-"), (0, "0 MB"), (512, "512 MB"), (12_800, "12.5 GB")]
)
def test_memory_has_unit(megabytes: float | None, text: str) -> None:
    assert texts.memory(megabytes) == text


def test_time_is_in_utc() -> None:
    assert texts.time("2026-01-31T13:00:00.5+01:00") == "2026-01-31 12:00:00Z"


def test_further_nodes_are_counted() -> None:
    assert texts.nodes(["n1", "n2", "n3", "n4"], most=2) == "n1,n2 +2"
    assert texts.nodes([]) == "-"


def test_control_characters_are_replaced() -> None:
    assert "\x1b" not in texts.printable("\x1b[2Jname\n")


def test_sparkline_spans_zero_to_top() -> None:
    assert texts.sparkline([0, 50, 100, 200], top=100) == "▁▅██"
    assert texts.sparkline([1, 2], top=0) == "▁▁"
