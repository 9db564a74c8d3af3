"""The estimated costs follow from load and options, and docs/cost.md is current."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.site.cost import (
    ALARMS,
    COLLECTOR_GB,
    PAGE,
    SNAPSHOTS_GB,
    Usage,
    collector_gb_seconds,
    monthly,
    page,
    prices,
)
from infra.site.sizing import INSTANCES, Load

if TYPE_CHECKING:
    from tests.infra.template import Template


def bill(**fields: float) -> dict[str, float]:
    return monthly(Usage(load=Load(**{"nodes": 100, **fields})))  # type: ignore[arg-type]


def test_cost_page_is_current() -> None:
    text = PAGE.read_text()
    assert text == page(text), "run: python -m infra.site.cost"


def test_every_listed_instance_has_price() -> None:
    assert prices()["rds_hour"].keys() == prices()["vcpus"].keys() == INSTANCES.keys()


def test_instance_is_billed_by_hour() -> None:
    assert bill()["RDS: instance"] == pytest.approx(0.032 * 730)


def test_requests_are_billed_by_million() -> None:
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
def test_higher_load_costs_more(change: dict[str, float], dearer: set[str]) -> None:
    before, after = bill(), bill(**change)
    assert {name for name in before if after[name] > before[name]} >= dearer
    assert all(after[name] >= before[name] for name in before)


def test_one_pass_a_minute_costs_less() -> None:
    often, rarely = (
        monthly(Usage(load=Load(nodes=100), collect_seconds=seconds))["Lambda"]
        for seconds in (30, 60)
    )
    assert often - rarely == pytest.approx(30 * 1.73 * 60 * 730 * 0.0000133334)
    assert collector_gb_seconds(20) == pytest.approx(1.73 * 42)


def test_monthly_items_match_template(template: Template, other_template: Template) -> None:
    assert len(template.all("CloudWatch::Alarm")) == ALARMS
    assert len(template.all("CloudWatch::Dashboard")) == 1
    assert len(template.all("Logs::MetricFilter")) == 1
    assert len(template.all("SecretsManager::Secret")) == 1
    snapshots = [one for one in other_template.functions().values() if "SnapStart" in one]
    assert sum(one["MemorySize"] for one in snapshots) / 1024 == pytest.approx(
        SNAPSHOTS_GB, rel=0.01
    )
    assert template.functions()["collector"]["MemorySize"] / 1024 == pytest.approx(
        COLLECTOR_GB, rel=0.01
    )


@pytest.mark.parametrize("option", ["proxy", "snap_start"])
def test_paid_option_raises_estimate(option: str) -> None:
    without = sum(bill().values())
    usage = Usage(load=Load(nodes=100), **{option: True})
    assert 20 < sum(monthly(usage).values()) - without < 25


def test_second_zone_doubles_database_and_endpoint() -> None:
    one = monthly(Usage(load=Load(nodes=100)))
    two = monthly(Usage(load=Load(nodes=100), multi_az=True))
    for name in ("RDS: instance", "RDS: storage", "Network endpoint"):
        assert two[name] == pytest.approx(2 * one[name])
