"""The dashboard in CloudWatch shows each part of the site."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from infra.constructs.functions import SIZES

if TYPE_CHECKING:
    from tests.infra.template import Template


def test_dashboard_shows_each_part_of_site(template: Template) -> None:
    dashboard = template.one("CloudWatch::Dashboard")
    assert dashboard["DashboardName"] == "hpcobs-example"
    body = dashboard["DashboardBody"]["Fn::Join"][1]
    text = json.dumps([part if isinstance(part, str) else "…" for part in body])
    for namespace in ("AWS/ApiGateway", "AWS/SQS", "AWS/Lambda", "AWS/RDS"):
        assert namespace in text
    shown = {
        template.referred(part)
        for part in body
        if isinstance(part, dict) and "Ref" in part and part["Ref"] in template.resources
    }
    assert {f"Functions/{name}/Function" for name in (*SIZES,)} <= shown
    assert "Migration/migrate/Function" in shown
