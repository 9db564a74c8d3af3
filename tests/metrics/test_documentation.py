"""``docs/metrics.md`` agrees with the table of families."""

from __future__ import annotations

from hpcobs.exposition.documentation import PAGE, page
from hpcobs.exposition.families import FAMILIES


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m hpcobs.exposition.documentation"


def test_page_lists_every_family_once() -> None:
    lines = page().splitlines()
    for family in FAMILIES:
        (row,) = [line for line in lines if line.startswith(f"| `{family.name}` |")]
        assert row.count(" | ") == 5
        assert family.name in family.query
