"""The documentation builds, its links have targets, and its tables are rendered as tables."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT, check=True, capture_output=True, text=True,
).stdout  # fmt: skip
PAGES = LISTED.split()
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as ``make docs`` does. A warning, such as of a dead link, fails it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    built = subprocess.run(
        [*command, str(folder)],
        cwd=ROOT, check=False, capture_output=True, text=True, env={"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert (built.returncode, built.stdout + built.stderr) == (0, "")
    return folder


def test_tables_are_rendered(site: Path) -> None:
    pages = list(site.rglob("index.html"))
    assert len(pages) > 20
    assert [page for page in pages if "|---" in page.read_text()] == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    foreign = re.compile(r"<(?:script|img|link rel=.?stylesheet)\b[^>]*?(?:src|href)=.?https?://")
    assert [page for page in site.rglob("*.html") if foreign.search(page.read_text())] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    for target in LINK.findall(FENCED.sub("", (ROOT / page).read_text())):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), target


@cache
def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", text).strip().lower().replace(" ", "-") for text in headings}
