"""What a deployment tells: where the site is, and what to do on the cluster next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack

if TYPE_CHECKING:
    from infra.constructs.monitoring.topic import AlarmTopic
    from infra.constructs.secret import SigningSecret
    from infra.site.config import Site

TOKENS = {
    "NodeTokens": (
        "Makes a token for each node: put your nodes' names in. See docs/slurm.md, 2.",
        "--scope events:write,samples:write --node 'n[001-100]' --directory tokens",
    ),
    "ControllerToken": (
        "Makes the token of the controller role, beside slurmctld",
        "--scope events:write --subject controller",
    ),
    "ScrapeToken": (
        "Makes Prometheus' token. See docs/prometheus.md",
        "--scope metrics:read --subject prometheus",
    ),
    "AdminToken": (
        "Makes you a token for today: HPCOBS_TOKEN of the command line",
        "--scope admin --ttl 12h --subject YOU",
    ),
}
"""What each of the commands is for, and its options."""


def tell(stack: Stack, *, site: Site, url: str, secret: SigningSecret, topic: AlarmTopic) -> None:
    """Add the outputs to the stack."""
    key = secret.secret.secret_arn
    told = {
        "Url": (url, "HPCOBS_URL of forwarders, hooks and the command line"),
        "Health": (f"curl {url}/v1/health", "Asks whether the site works"),
        "SigningKey": (key, "AUTH_SECRET_ARN: whoever may read it can make any token"),
        "AlarmTopic": (topic.topic.topic_arn, "Alarms are told here; each address must confirm"),
        "DashboardUrl": (_dashboard(stack, site), "The site at a glance"),
    }
    told |= {
        name: (f"AUTH_SECRET_ARN={key} hpcobs token {options}", what)
        for name, (what, options) in TOKENS.items()
    }
    for name, (value, description) in told.items():
        CfnOutput(stack, name, value=value, description=description)


def _dashboard(stack: Stack, site: Site) -> str:
    where = f"https://{stack.region}.console.aws.amazon.com/cloudwatch/home"
    return f"{where}?region={stack.region}#dashboards/dashboard/{site.stack_name}"
