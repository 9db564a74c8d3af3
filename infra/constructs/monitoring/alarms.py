"""The alarms: states that a person has to look at. Each notifies the site's topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_logs as logs
from constructs import Construct

if TYPE_CHECKING:
    from aws_cdk import aws_sns as sns
    from aws_cdk.aws_sqs import IQueue

    from infra.constructs.database.reachable import ReachableDatabase
    from infra.constructs.function import SiteFunction
    from infra.constructs.http_api import HttpApi
    from infra.constructs.monitoring.topic import AlarmTopic
    from infra.site.config import Site

FIVE_MINUTES = Duration.minutes(5)
ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


class Alarms(Construct):
    """A group of alarms per method. ``infra.stack`` calls each with the watched resources."""

    def __init__(self, scope: Construct, name: str, *, site: Site, topic: AlarmTopic) -> None:
        super().__init__(scope, name)
        self._site = site
        action = actions.SnsAction(cast("sns.ITopic", topic.topic))
        self._action = cast("cloudwatch.IAlarmAction", action)

    def watch_function(self, name: str, function: SiteFunction) -> None:
        """Alarm on errors, and on calls that Lambda rejected."""
        watched = function.function
        self._alarm(
            f"{name} errors",
            watched.metric_errors(period=FIVE_MINUTES),
            threshold=0,
            because=f"{name} failed: see its log group",
        )
        self._alarm(
            f"{name} throttles",
            watched.metric_throttles(period=FIVE_MINUTES),
            threshold=0,
            because=f"{name} reached a concurrency limit, its own or the account's",
        )

    def watch_collector(self, collector: SiteFunction) -> None:
        """Alarm if the collector is no longer called."""
        self._alarm(
            "collector stopped",
            collector.function.metric_invocations(period=FIVE_MINUTES),
            threshold=1,
            comparison=BELOW,
            missing=cloudwatch.TreatMissingData.BREACHING,
            because="the collector did not run for five minutes; samples wait in the queue",
        )

    def watch_queue(self, queue: IQueue) -> None:
        """Alarm if samples wait too long."""
        self._alarm(
            "samples late",
            queue.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES),
            threshold=self._site.alarms.queue_age_minutes * 60,
            because="samples arrive faster than the collector stores them, or it stores none",
        )

    def watch_dead_letters(self, name: str, queue: IQueue) -> None:
        """Alarm on any message in a queue that should stay empty."""
        self._alarm(
            name,
            queue.metric_approximate_number_of_messages_visible(
                period=FIVE_MINUTES, statistic="Maximum"
            ),
            threshold=0,
            because=f"{queue.node.path} contains messages that could not be delivered or read",
        )

    def watch_api(self, http_api: HttpApi) -> None:
        """Alarm on server errors, and on many rejected callers."""
        self._alarm(
            "api server errors",
            http_api.api.metric_server_error(period=FIVE_MINUTES, statistic="Sum"),
            threshold=5,
            because="more than 5 requests failed with a 5xx status within five minutes",
        )
        rejected = logs.MetricFilter(
            self,
            "Refusals",
            log_group=http_api.access_log,
            metric_namespace="hpcobs",
            metric_name=f"{self._site.name}-refusals",
            filter_pattern=logs.FilterPattern.any(
                logs.FilterPattern.string_value("$.status", "=", "401"),
                logs.FilterPattern.string_value("$.status", "=", "403"),
            ),
        )
        self._alarm(
            "refusals",
            rejected.metric(period=FIVE_MINUTES, statistic="Sum"),
            threshold=self._site.alarms.refusals,
            because="many responses 401 and 403: expired tokens, or an attack",
        )

    def watch_database(self, database: ReachableDatabase) -> None:
        """Alarm if its CPU, its storage or its connections are nearly exhausted."""
        for limit in database.limits:
            self._alarm(
                f"database {limit.name}",
                limit.metric,
                threshold=limit.threshold,
                comparison=ABOVE if limit.above else BELOW,
                # Half an hour, because short peaks are normal.
                periods=6,
                because=f"PostgreSQL: {limit.description}",
            )

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: float,
        because: str,
        comparison: cloudwatch.ComparisonOperator = ABOVE,
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        # CloudWatch has no data for errors that did not occur, so by default that is no alarm.
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self._site.stack_name} {name}",
            alarm_description=because,
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
