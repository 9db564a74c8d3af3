"""The schedules: their rates, targets, retries and roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.infra.template import listed

if TYPE_CHECKING:
    from tests.infra.template import Template


def test_collector_runs_minutely_and_retention_hourly(template: Template) -> None:
    calls = {
        template.referred(schedule["Target"]["Arn"]): schedule["ScheduleExpression"]
        for schedule in template.all("Scheduler::Schedule")
    }
    assert calls == {
        "Functions/collector/Function": "rate(1 minute)",
        "Functions/retention/Function": "rate(1 hour)",
    }


def test_schedules_have_no_flexible_window(template: Template) -> None:
    for schedule in template.all("Scheduler::Schedule"):
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert schedule.get("State", "ENABLED") == "ENABLED"


def test_undelivered_call_is_retried_then_kept(template: Template) -> None:
    for schedule in template.all("Scheduler::Schedule"):
        target = schedule["Target"]
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
        kept_in = template.referred(target["DeadLetterConfig"]["Arn"])
        assert kept_in == "Schedules/Undelivered"


def test_only_failed_retention_is_retried(template: Template) -> None:
    retries = {
        template.referred(config["FunctionName"]): config["MaximumRetryAttempts"]
        for config in template.all("Lambda::EventInvokeConfig")
    }
    assert retries == {"Functions/collector/Function": 0, "Functions/retention/Function": 2}


def test_schedule_may_invoke_only_its_function(template: Template) -> None:
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


def test_only_own_schedules_assume_caller_roles(template: Template) -> None:
    for path in template.paths("IAM::Role"):
        if "Caller" in path:
            (statement,) = template.one("IAM::Role", path)["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
