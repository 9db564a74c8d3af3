"""A site's stack as an emulator can have it: PostgreSQL is given by ``DATABASE_URL``.

Only the network and the database are replaced, which the emulator does not know; all else is the
stack that sites deploy, its code built for the machine that the emulator runs handlers on.
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
    """A database that is there already, whose users have it migrated."""

    @property
    def environment(self) -> dict[str, str]:
        """All functions reach it in the same way."""
        return {"DATABASE_URL": os.environ["DATABASE_URL"]}

    @property
    def administration(self) -> dict[str, str]:
        """Its user is there already."""
        return {}

    @property
    def limits(self) -> Sequence[Limit]:
        """Nobody watches it."""
        return ()

    @property
    def label(self) -> str:
        """It is always the same."""
        return "given"

    def admit(self, function: SiteFunction, *users: str) -> None:
        """The URL lets in whoever knows it."""


class EmulatedStack(SiteStack):
    """Everything of one site but its network, its database, and what the emulator refuses."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, site=SITE, target=HERE)
        for one in self.node.find_all():
            if isinstance(one, CfnResource) and one.cfn_resource_type in UNKNOWN_TO_THE_EMULATOR:
                assert one.node.scope is not None
                one.node.scope.node.try_remove_child(one.node.id)

    def lay_foundations(self, site: Site, queues: Sequence[IQueue]) -> Foundations:
        """Nothing of AWS."""
        database = GivenDatabase(self, "Database")
        return Foundations(network=None, database=database, front=database, parts=[database])


if __name__ == "__main__":
    app = App(analytics_reporting=False)
    EmulatedStack(app)
    app.synth()
