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

PLANTED = {
    "sample of": "DELETE FROM metric_samples WHERE id = (SELECT max(id) FROM metric_samples)",
    "rejected sample of": "DELETE FROM rejected_samples WHERE position = 0",
    "roll-up of 300 s": "UPDATE metric_rollups SET cpu_usage_sum = cpu_usage_sum + 1",
    "GPU roll-up of 3600 s": "DELETE FROM gpu_rollups",
    "value of sample_count": "UPDATE jobs SET sample_count = sample_count + 1 WHERE id = '1'",
    "counter of": "INSERT INTO counter_deltas VALUES ('collector_samples', 1)",
    "row of the trail": "DELETE FROM job_audit_events WHERE job_id = '1'",
}
"""Faults in the database, and how the comparison has to name them."""


def test_service_equals_its_books(tmp_path: Path) -> None:
    with story(SEED, SHORT, tmp_path) as played:
        found = played.play()
        assert not found, f"seed {SEED}, {dict(played.faults)}:\n" + "\n".join(found)
        truth = played.books.truth()
        assert truth.stored
        assert truth.rejected
        assert played.site.database.sealed_before().year > 1000, "no day was sealed"
        for fault in PLANTED.values():
            played.site.database.change(fault)
        found = list(played.differences())
        assert [name for name in PLANTED if not any(name in line for line in found)] == []
        played.site.service.stop()
