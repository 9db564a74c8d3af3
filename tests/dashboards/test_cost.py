"""The dashboard and docs/cost.md estimate the same costs for the same site."""

from __future__ import annotations

import pytest

from dashboards import cost
from infra.site.cost import SERIES_A_JOB_NODE, Usage, monthly
from infra.site.sizing import DAY_SECONDS, Load


@pytest.mark.parametrize("nodes", [100, 1000])
def test_dashboard_and_cost_page_agree(nodes: int) -> None:
    usage = Usage(load=Load(nodes=nodes))
    jobs = usage.load.jobs_a_day / DAY_SECONDS * cost.MONTH_SECONDS
    series = nodes * usage.load.jobs_a_node * SERIES_A_JOB_NODE
    scrape = cost.a_scrape() + series * cost.a_series()
    dollars = nodes * cost.a_node() + jobs * cost.a_job() + usage.scrapes * scrape + cost.a_site()
    bill = monthly(usage)
    listed = ("API Gateway", "Lambda", "SQS", "Transfer out")
    assert dollars == pytest.approx(sum(bill[name] for name in listed), rel=0.02)
