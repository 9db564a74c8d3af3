"""The alarms: what goes wrong is told to the site's people."""

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


def test_everything_that_a_person_has_to_look_at_is_watched(alarms: dict[str, Properties]) -> None:
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


def test_every_alarm_is_told_and_says_what_it_means(
    template: Template, alarms: dict[str, Properties]
) -> None:
    for alarm in alarms.values():
        assert [template.referred(one) for one in alarm["AlarmActions"]] == ["Alarms/Topic"]
        assert alarm["OKActions"] == alarm["AlarmActions"]
        assert len(alarm["AlarmDescription"].split()) > 2


def test_an_alarm_watches_something_of_this_site(alarms: dict[str, Properties]) -> None:
    for name, alarm in alarms.items():
        if name == "refusals":
            assert alarm["MetricName"] == "example-refusals"
        else:
            (dimension,) = alarm["Dimensions"]
            assert "Ref" in dimension["Value"] or "Fn::GetAtt" in dimension["Value"]


def test_silence_of_the_collector_is_an_alarm(alarms: dict[str, Properties]) -> None:
    stopped = alarms["collector stopped"]
    assert stopped["MetricName"] == "Invocations"
    assert stopped["TreatMissingData"] == "breaching"
    assert stopped["ComparisonOperator"] == "LessThanThreshold"


def test_refusals_are_counted_in_the_access_log(template: Template) -> None:
    counted = template.one("Logs::MetricFilter")
    assert template.referred(counted["LogGroupName"]) == "Gateway/AccessLog"
    assert counted["FilterPattern"] == '{ ($.status = "401") || ($.status = "403") }'
    form = template.one("ApiGatewayV2::Stage")["AccessLogSettings"]["Format"]
    assert json.loads(form)["status"] == "$context.status"


def test_the_site_chooses_the_thresholds(other_template: Template) -> None:
    thresholds = {
        alarm["AlarmName"].removeprefix("hpcobs-other "): alarm["Threshold"]
        for alarm in other_template.all("CloudWatch::Alarm")
    }
    assert thresholds["samples late"] == 300
    assert thresholds["refusals"] == 7
    assert thresholds["database DatabaseConnections"] == 400
    assert thresholds["database FreeStorageSpace"] == 20 * 1024**3


def test_the_site_s_people_get_mail(template: Template, other_template: Template) -> None:
    assert template.all("SNS::Subscription") == []
    mails = {one["Endpoint"]: one["Protocol"] for one in other_template.all("SNS::Subscription")}
    assert mails == {"a@example.org": "email", "b@example.org": "email"}


def test_only_this_account_s_alarms_and_budgets_may_tell_the_topic(template: Template) -> None:
    (allowed,) = [
        statement
        for statement in template.one("SNS::TopicPolicy")["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    tellers = {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert set(allowed["Principal"]["Service"]) == tellers
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}


def test_the_budget_tells_before_the_money_is_spent(other_template: Template) -> None:
    budget = other_template.one("Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    told = {}
    for one in budget["NotificationsWithSubscribers"]:
        told[one["Notification"]["NotificationType"]] = one["Notification"]["Threshold"]
        (subscriber,) = one["Subscribers"]
        assert other_template.referred(subscriber["Address"]) == "Alarms/Topic"
    assert told == {"ACTUAL": 80, "FORECASTED": 100}
