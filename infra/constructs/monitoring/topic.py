"""The topic that alarms notify, and its subscribers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

if TYPE_CHECKING:
    from infra.site.config import Site

PUBLISHERS = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")


class AlarmTopic(Construct):
    """A topic that only this account's alarms and budgets may publish to, over TLS."""

    def __init__(self, scope: Construct, name: str, *, site: Site) -> None:
        super().__init__(scope, name)
        self.topic = sns.Topic(self, "Topic", display_name=f"hpcobs {site.name}", enforce_ssl=True)
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[
                    cast("iam.IPrincipal", iam.ServicePrincipal(service)) for service in PUBLISHERS
                ],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                # These services act for all accounts: without it, others' alarms could publish.
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        for email in site.alarms.emails:
            subscription = subscriptions.EmailSubscription(email)
            self.topic.add_subscription(cast("sns.ITopicSubscription", subscription))
