"""Measure how the project is written: docstrings, comments, names of tests.

``python -m tests.style.figures [PATH …]`` prints the figures of some folders, and what to mend.
``test_figures.py`` holds the project to its limits.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.style.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
CODE = ("layers", "functions", "local", "cli", "forwarder", "infra", "dashboards", "bench")

SPEECH = re.compile(
    r"\b(tells?|told|telling|says?|said|saying|hears?|heard|hearing)\b", re.IGNORECASE
)
"""Verbs of speech. Programs receive, report, log and store."""

FOR_PROGRAMS = re.compile(r"(noqa|type:|pragma|fmt:|ruff:|!)")
"""Beginnings of comments that programs read."""

LONGEST_TEST_NAME = 9


class Fault(NamedTuple):
    """A place to mend. ``badness`` sorts faults of one kind, worst first."""

    kind: str
    place: str
    text: str
    badness: float = 1

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}: {self.text}"


NOT_IMPERATIVE = "no imperative"
SPOKEN = "verb of speech"
SEMICOLON = "semicolon"
FEW_COMMENTS = "few comments"
LONG_NAME = "long test name"


@dataclass(slots=True)
class Figures:
    """Counts over some files, and the places to mend."""

    docstrings: int = 0
    words: int = 0
    spoken: int = 0
    semicolons: int = 0
    functions: int = 0
    imperative: int = 0
    lines: int = 0
    comments: int = 0
    tests: int = 0
    test_words: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def imperative_percent(self) -> float:
        """Share of functions whose docstring begins with a verb in the imperative."""
        return 100 * self.imperative / max(1, self.functions)

    @property
    def spoken_per_thousand(self) -> float:
        """Verbs of speech per 1,000 words of docstrings."""
        return 1000 * self.spoken / max(1, self.words)

    @property
    def semicolon_percent(self) -> float:
        """Share of docstrings with a semicolon in the first line."""
        return 100 * self.semicolons / max(1, self.docstrings)

    @property
    def comments_per_hundred(self) -> float:
        """Lines with a comment per 100 lines."""
        return 100 * self.comments / max(1, self.lines)

    @property
    def mean_test_words(self) -> float:
        """Mean number of words in a test's name, without ``test``."""
        return self.test_words / max(1, self.tests)


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below some folders of the project, sorted."""
    found = (path for folder in folders for path in _below(ROOT / folder))
    return sorted(path for path in found if not _built(path))


def _below(path: Path) -> Iterable[Path]:
    return path.rglob("*.py") if path.is_dir() else [path]


def _built(path: Path) -> bool:
    return any(part.startswith(".") or part == "cdk.out" for part in path.parts)


def figures_of(paths: Iterable[Path]) -> Figures:
    """Measure some Python files."""
    figures = Figures()
    for path in paths:
        text = path.read_text()
        place = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
        tree = ast.parse(text)
        _count_docstrings(tree, place, figures)
        _count_tests(tree, place, figures)
        _count_comments(text, place, figures)
    return figures


def _count_docstrings(tree: ast.Module, place: str, figures: Figures) -> None:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node)
        if not docstring:
            continue
        line = getattr(node, "lineno", 1)
        _count_words(docstring, f"{place}:{line}", figures)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_property(node):
            figures.functions += 1
            if is_imperative(docstring):
                figures.imperative += 1
            else:
                figures.faults.append(Fault(NOT_IMPERATIVE, f"{place}:{line}", _first(docstring)))


def _count_words(docstring: str, place: str, figures: Figures) -> None:
    figures.docstrings += 1
    figures.words += len(docstring.split())
    spoken = SPEECH.findall(docstring)
    figures.spoken += len(spoken)
    if spoken:
        figures.faults.append(Fault(SPOKEN, place, _first(docstring), badness=len(spoken)))
    if ";" in _first(docstring):
        figures.semicolons += 1
        figures.faults.append(Fault(SEMICOLON, place, _first(docstring)))


def _count_tests(tree: ast.Module, place: str, figures: Figures) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            words = len(node.name.split("_")) - 1
            figures.tests += 1
            figures.test_words += words
            if words > LONGEST_TEST_NAME:
                at = f"{place}:{node.lineno}"
                figures.faults.append(Fault(LONG_NAME, at, node.name, badness=words))


def _count_comments(text: str, place: str, figures: Figures) -> None:
    lines, comments = text.count("\n"), sum(1 for _ in _comments(text))
    figures.lines += lines
    figures.comments += comments
    # How many comments the file lacks to reach 2 in 100 lines: large files without any come first.
    if (lacks := lines / 50 - comments) >= 1 and not place.startswith("tests"):
        found = f"{comments} in {lines} lines"
        figures.faults.append(Fault(FEW_COMMENTS, place, found, badness=lacks))


def is_imperative(docstring: str) -> bool:
    """Return whether a docstring begins with one of the field's verbs, in the imperative."""
    first, second = [*map(_bare, docstring.split(maxsplit=2)[:2]), "", ""][:2]
    # "Count of jobs" begins with a noun, "Count the jobs" with a verb.
    return first.rpartition("-")[2] in VERBS and second != "of"


def _bare(word: str) -> str:
    return word.strip(".,:;()`'\"").lower()


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = (getattr(one, "id", getattr(one, "attr", "")) for one in node.decorator_list)
    return any(name.endswith("property") for name in names)


def _first(docstring: str) -> str:
    return docstring.partition("\n")[0]


def _comments(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        comment = token.string.lstrip("# ")
        if token.type == tokenize.COMMENT and not FOR_PROGRAMS.match(comment):
            yield comment


def main(*folders: str) -> None:
    """Print the figures of some folders, all code by default."""
    figures = figures_of(python_files(*(folders or (*CODE, "tests"))))
    sys.stdout.write("".join(f"{fault}\n" for fault in figures.faults))
    sys.stdout.write(
        f"imperative {figures.imperative_percent:.1f} % of {figures.functions} functions, "
        f"verbs of speech {figures.spoken_per_thousand:.2f} in 1,000 of {figures.words} words, "
        f"semicolons {figures.semicolon_percent:.1f} % of {figures.docstrings} docstrings, "
        f"comments {figures.comments_per_hundred:.2f} in 100 of {figures.lines} lines, "
        f"test names {figures.mean_test_words:.2f} words of {figures.tests}\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
