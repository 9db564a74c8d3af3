"""A site's stack for an emulator, with the PostgreSQL of ``DATABASE_URL``.

Only the network and the database are replaced, because the emulator does not support them. All
other resources are those of a real site, with code built for the machine of the emulator.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from aws_cdk import App, CfnResource
from constructs import Construct

from infra.build.target import Target
from infra.site.config import Site
from infra.stack import Foundations, SiteStack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk.aws_sqs import IQueue

    from infra.constructs.database.reachable import Limit
    from infra.constructs.function import SiteFunction

SITE = Site(name="emulated", account="000000000000", region="eu-central-1", cluster_name="lab")
HERE = Target(
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    platform=f"{platform.machine()}-manylinux_2_34",
)

UNKNOWN_TO_THE_EMULATOR = {"AWS::Budgets::Budget", "AWS::SecretsManager::RotationSchedule"}


class GivenDatabase(Construct):
    """An existing database, whose user may migrate it."""

    @property
    def environment(self) -> dict[str, str]:
        """The same URL for all functions."""
        return {"DATABASE_URL": os.environ["DATABASE_URL"]}

    @property
    def administration(self) -> dict[str, str]:
        """Nothing: its user exists already."""
        return {}

    @property
    def limits(self) -> Sequence[Limit]:
        """Nothing: it has no alarms."""
        return ()

    @property
    def label(self) -> str:
        """A fixed name."""
        return "given"

    def admit(self, function: SiteFunction, *users: str) -> None:
        """Do nothing: the URL is enough to log in."""


class EmulatedStack(SiteStack):
    """All resources of a site except network, database, and types that the emulator rejects."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, site=SITE, target=HERE)
        for one in self.node.find_all():
            if isinstance(one, CfnResource) and one.cfn_resource_type in UNKNOWN_TO_THE_EMULATOR:
                assert one.node.scope is not None
                one.node.scope.node.try_remove_child(one.node.id)

    def lay_foundations(self, site: Site, queues: Sequence[IQueue]) -> Foundations:
        """Return the given database, without AWS resources."""
        database = GivenDatabase(self, "Database")
        return Foundations(network=None, database=database, front=database, parts=[database])


if __name__ == "__main__":
    app = App(analytics_reporting=False)
    EmulatedStack(app)
    app.synth()
