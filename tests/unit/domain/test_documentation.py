"""``docs/precedence.md`` is what the code does."""

from __future__ import annotations

from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.documentation import PAGE, page


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m hpcobs.domain.lifecycle.documentation"


def test_page_has_every_precedence() -> None:
    for precedence in Precedence:
        assert f"\n| {precedence.value} | " in page()
