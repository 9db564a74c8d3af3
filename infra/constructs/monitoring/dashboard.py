"""The site's dashboard in CloudWatch: requests, queue, functions, database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.constructs.database.reachable import ReachableDatabase
    from infra.constructs.function import SiteFunction
    from infra.constructs.http_api import HttpApi
    from infra.constructs.queue import SampleQueue
    from infra.site.config import Site

MINUTE = Duration.minutes(1)


class Dashboard(Construct):
    """The dashboard, with the same name as the stack."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        site: Site,
        http_api: HttpApi,
        samples: SampleQueue,
        functions: Mapping[str, SiteFunction],
        database: ReachableDatabase,
    ) -> None:
        super().__init__(scope, name)
        self._board = cloudwatch.Dashboard(self, "Board", dashboard_name=site.stack_name)
        api, queue = http_api.api, samples.queue
        self._row(
            ("Requests", [api.metric_count(period=MINUTE)]),
            ("Client and server errors", [api.metric_client_error(), api.metric_server_error()]),
            ("Latency", [api.metric_latency(period=MINUTE, statistic="p99")]),
        )
        self._row(
            ("Oldest sample on the queue", [queue.metric_approximate_age_of_oldest_message()]),
            (
                "Messages in the queue",
                [
                    queue.metric_approximate_number_of_messages_visible(),
                    samples.dead_letters.metric_approximate_number_of_messages_visible(),
                ],
            ),
        )
        watched = [function.function for function in functions.values()]
        self._row(
            ("Errors", [function.metric_errors() for function in watched]),
            ("Throttles", [function.metric_throttles() for function in watched]),
            ("Duration", [function.metric_duration(statistic="p99") for function in watched]),
        )
        self._row(*((limit.name, [limit.metric]) for limit in database.limits))

    def _row(self, *graphs: tuple[str, Sequence[cloudwatch.IMetric]]) -> None:
        if not graphs:
            return
        # CloudWatch's dashboards are 24 columns wide.
        width = 24 // len(graphs)
        self._board.add_widgets(
            *(
                cloudwatch.GraphWidget(title=title, left=list(metrics), width=width)
                for title, metrics in graphs
            )
        )
