"""Migrations: ``migrate`` runs during a deployment, before the other functions are changed.

CloudFormation calls it if its code, the layer or the database changed. If it fails, CloudFormation
rolls back: no other function has been changed yet, and the migrations are one transaction. If a
later step fails, CloudFormation calls the earlier ``migrate`` again, which has nothing to do. The
schema stays expanded, and the earlier functions work with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnResource, Duration, Stack, triggers
from constructs import Construct

from infra.constructs.database.reachable import ADMINISTRATOR, USER
from infra.constructs.function import SiteFunction, Size
from infra.constructs.monitoring.logs import log_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.build.layer import Layer
    from infra.constructs.database.reachable import ReachableDatabase
    from infra.constructs.network import Network
    from infra.site.config import Site

CALLER = "AWSCDK.TriggerCustomResourceProviderCustomResourceProvider"
TIMEOUT_SECONDS = 600
# If the CDK's caller timed out first, it would call again while the first call still runs.
CALLER_TIMEOUT_SECONDS = TIMEOUT_SECONDS + 60


class Migration(Construct):
    """The function ``migrate``, and the trigger that calls it."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        site: Site,
        layer: Layer,
        network: Network | None,
        database: ReachableDatabase,
        after: Sequence[Construct],
    ) -> None:
        super().__init__(scope, name)
        self.migrate = SiteFunction(
            self,
            "migrate",
            site=site,
            layer=layer,
            size=Size(memory_mb=512, timeout_seconds=TIMEOUT_SECONDS),
            environment={**database.environment, **database.administration},
            network=network,
            database=database.label,
        )
        database.admit(self.migrate, ADMINISTRATOR, USER)
        self._trigger = triggers.Trigger(
            self,
            "Run",
            handler=self.migrate.function,
            timeout=Duration.seconds(CALLER_TIMEOUT_SECONDS),
            execute_after=list(after),
        )
        self._expire_logs_of_caller(site)

    def before(self, construct: Construct) -> None:
        """Change ``construct`` only after the migrations have been applied."""
        self._trigger.execute_before(construct)

    def _expire_logs_of_caller(self, site: Site) -> None:
        """Give the CDK's own function, which calls ``migrate``, a log group that expires."""
        handler = Stack.of(self).node.find_child(CALLER).node.find_child("Handler")
        assert isinstance(handler, CfnResource)
        logs = log_group(self, "CallerLogs", site=site, path=f"/aws/lambda/{handler.ref}")
        self._trigger.execute_after(logs)
