"""Values as people read them."""

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
def test_durations(seconds: float | None, text: str) -> None:
    assert texts.duration(seconds) == text


@pytest.mark.parametrize(
    ("megabytes", "text"), [(None, "-"), (0, "0 MB"), (512, "512 MB"), (12_800, "12.5 GB")]
)
def test_memory(megabytes: float | None, text: str) -> None:
    assert texts.memory(megabytes) == text


def test_times_are_in_utc() -> None:
    assert texts.time("2026-01-31T13:00:00.5+01:00") == "2026-01-31 12:00:00Z"


def test_many_nodes_are_counted() -> None:
    assert texts.nodes(["n1", "n2", "n3", "n4"], most=2) == "n1,n2 +2"
    assert texts.nodes([]) == "-"


def test_a_terminal_is_not_obeyed() -> None:
    assert "\x1b" not in texts.printable("\x1b[2Jname\n")


def test_a_sparkline_goes_from_nothing_to_the_top() -> None:
    assert texts.sparkline([0, 50, 100, 200], top=100) == "▁▅██"
    assert texts.sparkline([1, 2], top=0) == "▁▁"
