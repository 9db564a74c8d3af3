"""The stack's outputs: the site's addresses, and the commands for the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack

if TYPE_CHECKING:
    from infra.constructs.monitoring.topic import AlarmTopic
    from infra.constructs.secret import SigningSecret
    from infra.site.config import Site

TOKENS = {
    "NodeTokens": (
        "Creates a token for each node: insert your nodes' names. See docs/slurm.md, 2.",
        "--scope events:write,samples:write --node 'n[001-100]' --directory tokens",
    ),
    "ControllerToken": (
        "Creates the token of the controller role, beside slurmctld",
        "--scope events:write --subject controller",
    ),
    "ScrapeToken": (
        "Creates Prometheus' token. See docs/prometheus.md",
        "--scope metrics:read --subject prometheus",
    ),
    "AdminToken": (
        "Creates a token for you, for 12 hours: HPCOBS_TOKEN of the command line",
        "--scope admin --ttl 12h --subject YOU",
    ),
}
"""By output: the description of a command, and the options of ``hpcobs token``."""


def add_outputs(
    stack: Stack, *, site: Site, url: str, secret: SigningSecret, topic: AlarmTopic
) -> None:
    """Add the outputs to the stack."""
    key = secret.secret.secret_arn
    outputs = {
        "Url": (url, "HPCOBS_URL of forwarders, hooks and the command line"),
        "Health": (f"curl {url}/v1/health", "Checks whether the site works"),
        "SigningKey": (key, "AUTH_SECRET_ARN: anyone who may read it can create any token"),
        "AlarmTopic": (topic.topic.topic_arn, "Alarms are sent here; each address must confirm"),
        "DashboardUrl": (_dashboard(stack, site), "The site's dashboard in CloudWatch"),
    }
    outputs |= {
        name: (f"AUTH_SECRET_ARN={key} hpcobs token {options}", what)
        for name, (what, options) in TOKENS.items()
    }
    for name, (value, description) in outputs.items():
        CfnOutput(stack, name, value=value, description=description)


def _dashboard(stack: Stack, site: Site) -> str:
    where = f"https://{stack.region}.console.aws.amazon.com/cloudwatch/home"
    return f"{where}?region={stack.region}#dashboards/dashboard/{site.stack_name}"
