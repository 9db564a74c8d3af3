"""The budget: warns when most of it is spent, and when AWS forecasts that it will be exceeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_budgets as budgets
from constructs import Construct

if TYPE_CHECKING:
    from infra.constructs.monitoring.topic import AlarmTopic
    from infra.site.config import Site

WARNINGS = (("ACTUAL", 80), ("FORECASTED", 100))
"""The sum that is compared, and the percentage of the budget at which a warning is sent."""


class Budget(Construct):
    """A monthly budget for all costs of the account.

    A budget for the site's tags would count nothing until the account activates these tags.
    """

    def __init__(self, scope: Construct, name: str, *, site: Site, topic: AlarmTopic) -> None:
        super().__init__(scope, name)
        subscriber = budgets.CfnBudget.SubscriberProperty(
            subscription_type="SNS", address=topic.topic.topic_arn
        )
        budget = budgets.CfnBudget(
            self,
            "Monthly",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=site.stack_name,
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(
                    amount=site.alarms.monthly_budget_usd, unit="USD"
                ),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=sum_of,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[subscriber],
                )
                for sum_of, percent in WARNINGS
            ],
        )
        # AWS Budgets checks on creation that the topic's policy lets it publish.
        budget.node.add_dependency(topic)
