"""The alarms, the topic and the budget of a site."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.constructs.functions import SIZES

if TYPE_CHECKING:
    from tests.infra.template import Properties, Template


@pytest.fixture
def alarms(template: Template) -> dict[str, Properties]:
    return {
        alarm["AlarmName"].removeprefix("hpcobs-example "): alarm
        for alarm in template.all("CloudWatch::Alarm")
    }


def test_expected_alarms_exist(alarms: dict[str, Properties]) -> None:
    functions = (*SIZES, "migrate")
    assert alarms.keys() == {
        *(f"{name} {what}" for name in functions for what in ("errors", "throttles")),
        "collector stopped",
        "samples late",
        "dead letters",
        "schedules undelivered",
        "api server errors",
        "refusals",
        "database CPUUtilization",
        "database FreeStorageSpace",
        "database DatabaseConnections",
    }


def test_every_alarm_notifies_topic_with_description(
    template: Template, alarms: dict[str, Properties]
) -> None:
    for alarm in alarms.values():
        assert [template.referred(one) for one in alarm["AlarmActions"]] == ["Alarms/Topic"]
        assert alarm["OKActions"] == alarm["AlarmActions"]
        assert len(alarm["AlarmDescription"].split()) > 2


def test_alarms_watch_resources_of_site(alarms: dict[str, Properties]) -> None:
    for name, alarm in alarms.items():
        if name == "refusals":
            assert alarm["MetricName"] == "example-refusals"
        else:
            (dimension,) = alarm["Dimensions"]
            assert "Ref" in dimension["Value"] or "Fn::GetAtt" in dimension["Value"]


def test_missing_collector_runs_raise_alarm(alarms: dict[str, Properties]) -> None:
    stopped = alarms["collector stopped"]
    assert stopped["MetricName"] == "Invocations"
    assert stopped["TreatMissingData"] == "breaching"
    assert stopped["ComparisonOperator"] == "LessThanThreshold"


def test_access_log_filter_counts_401_and_403(template: Template) -> None:
    counted = template.one("Logs::MetricFilter")
    assert template.referred(counted["LogGroupName"]) == "Gateway/AccessLog"
    assert counted["FilterPattern"] == '{ ($.status = "401") || ($.status = "403") }'
    form = template.one("ApiGatewayV2::Stage")["AccessLogSettings"]["Format"]
    assert json.loads(form)["status"] == "$context.status"


def test_thresholds_follow_site_options(other_template: Template) -> None:
    thresholds = {
        alarm["AlarmName"].removeprefix("hpcobs-other "): alarm["Threshold"]
        for alarm in other_template.all("CloudWatch::Alarm")
    }
    assert thresholds["samples late"] == 300
    assert thresholds["refusals"] == 7
    assert thresholds["database DatabaseConnections"] == 400
    assert thresholds["database FreeStorageSpace"] == 20 * 1024**3


def test_each_email_address_is_subscribed(template: Template, other_template: Template) -> None:
    assert template.all("SNS::Subscription") == []
    mails = {one["Endpoint"]: one["Protocol"] for one in other_template.all("SNS::Subscription")}
    assert mails == {"a@example.org": "email", "b@example.org": "email"}


def test_only_own_alarms_and_budgets_publish(template: Template) -> None:
    (allowed,) = [
        statement
        for statement in template.one("SNS::TopicPolicy")["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    services = {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert set(allowed["Principal"]["Service"]) == services
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}


def test_budget_warns_at_80_percent_and_on_forecast(other_template: Template) -> None:
    budget = other_template.one("Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    thresholds = {}
    for one in budget["NotificationsWithSubscribers"]:
        thresholds[one["Notification"]["NotificationType"]] = one["Notification"]["Threshold"]
        (subscriber,) = one["Subscribers"]
        assert other_template.referred(subscriber["Address"]) == "Alarms/Topic"
    assert thresholds == {"ACTUAL": 80, "FORECASTED": 100}
