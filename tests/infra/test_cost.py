"""What a site costs follows from what it does, and the page says what the code says."""

from __future__ import annotations

import pytest

from infra.cost import PAGE, Usage, monthly, page, prices
from infra.sizing import INSTANCES, Load


def bill(**fields: float) -> dict[str, float]:
    return monthly(Usage(load=Load(**{"nodes": 100, **fields})))  # type: ignore[arg-type]


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text()
    assert text == page(text), "run: python -m infra.cost"


def test_every_instance_of_the_sizes_has_a_price() -> None:
    assert prices()["rds_hour"].keys() == INSTANCES.keys()


def test_the_instance_is_paid_by_the_hour() -> None:
    assert bill()["RDS: instance"] == pytest.approx(0.032 * 730)


def test_requests_are_paid_by_the_million() -> None:
    month = 365 / 12 * 86400
    pushed = 100 * month / 30
    events = 100 * 4 * 6 * 4 * 365 / 12 + month / 30
    assert bill()["API Gateway"] == pytest.approx((pushed + events + month / 30) / 1e6)


@pytest.mark.parametrize(
    ("change", "dearer"),
    [
        ({"nodes": 200}, {"API Gateway", "SQS", "RDS: storage", "Transfer out", "Lambda"}),
        ({"rollup_days": 800}, {"RDS: storage"}),
        ({"interval_seconds": 5}, {"RDS: storage"}),
        ({"job_hours": 1}, {"API Gateway", "Lambda", "RDS: storage"}),
    ],
)
def test_what_does_more_costs_more(change: dict[str, float], dearer: set[str]) -> None:
    before, after = bill(), bill(**change)
    assert {name for name in before if after[name] > before[name]} >= dearer
    assert all(after[name] >= before[name] for name in before)


def test_a_second_zone_doubles_the_database() -> None:
    one = monthly(Usage(load=Load(nodes=100)))
    two = monthly(Usage(load=Load(nodes=100), multi_az=True))
    for name in ("RDS: instance", "RDS: storage", "Network endpoint"):
        assert two[name] == pytest.approx(2 * one[name])
