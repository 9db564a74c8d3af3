"""The project's English stays within limits. A failure lists the worst places first."""

from __future__ import annotations

import pytest

from tests.style import figures
from tests.style.figures import Figures, figures_of, is_imperative, python_files
from tests.style.verbs import LISTED, VERBS

SHOWN = 25


@pytest.fixture(scope="module")
def project() -> Figures:
    return figures_of(python_files(*figures.CODE, "tests"))


def _worst(found: Figures, kind: str) -> str:
    faults = [fault for fault in found.faults if fault.kind == kind]
    faults.sort(key=lambda fault: fault.badness, reverse=True)
    more = f"\n… and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "mend, worst first:\n" + "\n".join(map(str, faults[:SHOWN])) + more


def test_docstrings_begin_with_a_verb(project: Figures) -> None:
    assert project.imperative_percent >= 95, _worst(project, figures.NOT_IMPERATIVE)


def test_docstrings_avoid_verbs_of_speech(project: Figures) -> None:
    assert project.spoken_per_thousand <= 0.3, _worst(project, figures.SPOKEN)


def test_first_lines_have_no_semicolon(project: Figures) -> None:
    assert project.semicolon_percent <= 1, _worst(project, figures.SEMICOLON)


def test_layer_explains_its_code() -> None:
    layer = figures_of(python_files("layers"))
    assert layer.comments_per_hundred >= 2, _worst(layer, figures.FEW_COMMENTS)


def test_test_names_are_short(project: Figures) -> None:
    assert project.mean_test_words <= 6.5, _worst(project, figures.LONG_NAME)


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Return the job's row, or None if there is none.", True),
        ("Re-read the token.", True),
        ("``Store`` a batch.", True),
        ("Process the queue.", True),
        ("Check that the database responds.", True),
        ("Count of jobs in each state.", False),
        ("Batches that wait.", False),
        ("Runs the command; the exit status.", False),
        ("Whether the job has ended.", False),
        ("Nothing is read yet.", False),
        ("A pass begins.", False),
    ],
)
def test_imperative_is_recognised(docstring: str, *, expected: bool) -> None:
    assert is_imperative(docstring) is expected


def test_verbs_are_sorted_and_unique() -> None:
    assert sorted(VERBS) == LISTED.split()
