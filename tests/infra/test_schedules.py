"""The schedules: who is called, how often, and what happens to a call that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.infra.template import listed

if TYPE_CHECKING:
    from tests.infra.template import Template


def test_the_collector_runs_every_minute_and_retention_every_hour(template: Template) -> None:
    calls = {
        template.referred(schedule["Target"]["Arn"]): schedule["ScheduleExpression"]
        for schedule in template.all("Scheduler::Schedule")
    }
    assert calls == {
        "Functions/collector/Function": "rate(1 minute)",
        "Functions/retention/Function": "rate(1 hour)",
    }


def test_they_are_on_time(template: Template) -> None:
    for schedule in template.all("Scheduler::Schedule"):
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert schedule.get("State", "ENABLED") == "ENABLED"


def test_a_call_that_cannot_be_delivered_is_tried_again_and_then_kept(template: Template) -> None:
    for schedule in template.all("Scheduler::Schedule"):
        target = schedule["Target"]
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
        kept_in = template.referred(target["DeadLetterConfig"]["Arn"])
        assert kept_in == "Schedules/Undelivered"


def test_a_failed_collection_is_left_to_the_next_minute_and_retention_is_tried_again(
    template: Template,
) -> None:
    retries = {
        template.referred(config["FunctionName"]): config["MaximumRetryAttempts"]
        for config in template.all("Lambda::EventInvokeConfig")
    }
    assert retries == {"Functions/collector/Function": 0, "Functions/retention/Function": 2}


def test_each_schedule_may_call_its_own_function_only(template: Template) -> None:
    callers = {
        path: policy
        for path in template.paths("IAM::Policy")
        if "Caller" in path and (policy := template.one("IAM::Policy", path))
    }
    assert len(callers) == 2
    for path, policy in callers.items():
        name = path.removeprefix("Schedules/").partition("Caller")[0].lower()
        allowed = {
            (action, template.referred(statement["Resource"]))
            for statement in policy["PolicyDocument"]["Statement"]
            for action in listed(statement["Action"])
        }
        assert allowed == {
            ("lambda:InvokeFunction", f"Functions/{name}/Function"),
            ("sqs:SendMessage", "Schedules/Undelivered"),
        }


def test_only_this_account_s_schedules_may_take_the_callers_roles(template: Template) -> None:
    for path in template.paths("IAM::Role"):
        if "Caller" in path:
            (statement,) = template.one("IAM::Role", path)["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
