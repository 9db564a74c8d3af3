"""Log groups that expire after the site's retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs

if TYPE_CHECKING:
    from constructs import Construct

    from infra.site.config import Site


def log_group(scope: Construct, name: str, *, site: Site, path: str) -> logs.LogGroup:
    """Return a new log group with this full name, which is deleted with the stack."""
    # If it stayed, the same site could not be deployed again: the name would be in use.
    group = logs.LogGroup(scope, name, log_group_name=path, removal_policy=RemovalPolicy.DESTROY)
    resource = group.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)
    resource.retention_in_days = site.retention.logs_days
    return group
