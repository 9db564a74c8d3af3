"""The page on commands says what the commands say, and each option tells what it does."""

from __future__ import annotations

import re

from hpcobs_cli.documentation import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m hpcobs_cli.documentation"


def test_every_option_tells_what_it_does() -> None:
    rows = re.findall(r"^\| `(.+?)` \| (.*) \|$", page(), re.MULTILINE)
    assert len(rows) > 30
    assert [option for option, tells in rows if not tells or tells.startswith("[")] == []
