"""The budget: told when the account has spent most of it, and when it is going to exceed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_budgets as budgets
from constructs import Construct

if TYPE_CHECKING:
    from infra.constructs.monitoring.topic import AlarmTopic
    from infra.site.config import Site

WARNINGS = (("ACTUAL", 80), ("FORECASTED", 100))
"""Which sum, and at how many percent of the budget."""


class Budget(Construct):
    """A monthly budget for all that the account spends: it needs no tags to be activated first."""

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
        # Budgets tries the topic's policy when it is made.
        budget.node.add_dependency(topic)
