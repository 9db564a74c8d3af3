"""The schedules: the collector every minute, retention every hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.constructs.findings import accept
from infra.constructs.queue import encrypted_queue

if TYPE_CHECKING:
    from infra.constructs.function import SiteFunction
    from infra.constructs.functions import Functions

DELIVERY_RETRIES = 5
"""How often EventBridge retries to deliver a call to Lambda."""


class Schedules(Construct):
    """The schedules of EventBridge, and a queue for the calls that it cannot deliver."""

    def __init__(self, scope: Construct, name: str, *, functions: Functions) -> None:
        super().__init__(scope, name)
        self.undelivered = encrypted_queue(self, "Undelivered", keep=Duration.days(14))
        accept(
            self.undelivered, "SQS3", because="it is itself the dead-letter queue of the schedules"
        )
        # No retry for the collector: a minute later it is called again, and the samples that it
        # left wait in the queue.
        self._every("Collector", "rate(1 minute)", functions.collector, retries=0, seconds=60)
        self._every("Retention", "rate(1 hour)", functions.retention, retries=2, seconds=1800)

    def _every(
        self, name: str, rate: str, target: SiteFunction, *, retries: int, seconds: int
    ) -> None:
        """Call ``target`` at this rate. Retry a failed or undelivered call for ``seconds``."""
        target.function.configure_async_invoke(
            retry_attempts=retries, max_event_age=Duration.seconds(seconds)
        )
        role = self._caller(name, target)
        schedule = scheduler.CfnSchedule(
            self,
            name,
            description=f"Calls {target.function_name}",
            schedule_expression=rate,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=target.function.function_arn,
                role_arn=role.role_arn,
                input="{}",
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=DELIVERY_RETRIES, maximum_event_age_in_seconds=seconds
                ),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.undelivered.queue_arn
                ),
            ),
        )
        schedule.node.add_dependency(role)

    def _caller(self, name: str, target: SiteFunction) -> iam.Role:
        # The scheduler acts for all accounts: only schedules of this one may assume the role.
        account = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        service = iam.ServicePrincipal("scheduler.amazonaws.com", conditions=account)
        role = iam.Role(
            self,
            f"{name}Caller",
            assumed_by=cast("iam.IPrincipal", service),
        )
        for action, resource in (
            ("lambda:InvokeFunction", target.function.function_arn),
            ("sqs:SendMessage", self.undelivered.queue_arn),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
        return role
