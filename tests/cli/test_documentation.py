"""The page on commands is up to date, and each option has a description."""

from __future__ import annotations

import re

from hpcobs_cli.documentation import PAGE, page


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m hpcobs_cli.documentation"


def test_every_option_has_description() -> None:
    rows = re.findall(r"^\| `(.+?)` \| (.*) \|$", page(), re.MULTILINE)
    assert len(rows) > 30
    assert [option for option, meaning in rows if not meaning or meaning.startswith("[")] == []
