"""What a service holds equals the books, whatever was killed, repeated, reordered or reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.books.story import Outline, story

if TYPE_CHECKING:
    from pathlib import Path

SEED = 12

SHORT = Outline(
    samples_each=3,
    faults=("collector", "retention", "retention ahead", "retention behind", "function"),
)
"""``make soak`` plays longer stories of other seeds, with more faults."""


def test_service_equals_its_books(tmp_path: Path) -> None:
    with story(SEED, SHORT, tmp_path) as played:
        found = played.play()
        assert not found, f"seed {SEED}, {dict(played.faults)}:\n" + "\n".join(found)
        truth = played.books.truth()
        assert truth.stored
        assert truth.rejected
        assert played.site.database.sealed_before().year > 1000, "no day was sealed"
        played.site.service.stop()
