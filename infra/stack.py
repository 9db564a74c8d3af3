"""A site as a stack, which only composes the constructs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Environment, Fn, Stack, Tags

from infra.build.layer import Layer
from infra.build.target import LAMBDA, Target
from infra.constructs.database.aurora import Cluster
from infra.constructs.database.postgres import Instance
from infra.constructs.database.proxy import Proxy
from infra.constructs.functions import Functions
from infra.constructs.http_api import HttpApi
from infra.constructs.migration import Migration
from infra.constructs.monitoring.alarms import Alarms
from infra.constructs.monitoring.budget import Budget
from infra.constructs.monitoring.dashboard import Dashboard
from infra.constructs.monitoring.topic import AlarmTopic
from infra.constructs.network import ZONES, Network
from infra.constructs.queue import SampleQueue
from infra.constructs.schedules import Schedules
from infra.constructs.secret import SigningSecret
from infra.outputs import add_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk.aws_sqs import IQueue
    from constructs import Construct

    from infra.constructs.database.reachable import ReachableDatabase
    from infra.site.config import Site


WITHOUT_TAGS = ["AWS::RDS::DBProxyTargetGroup"]
"""Resource types that CloudFormation rejects tags on, though the CDK would set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundations:
    """The parts that must exist before any function.

    ``parts`` are all their constructs, for dependencies. Requests reach the database through
    ``front``: the database itself, or a proxy before it.
    """

    network: Network | None
    database: ReachableDatabase
    front: ReachableDatabase
    parts: Sequence[Construct]


class SiteStack(Stack):
    """All resources of one site."""

    def __init__(self, scope: Construct, *, site: Site, target: Target = LAMBDA) -> None:
        super().__init__(
            scope,
            site.stack_name,
            stack_name=site.stack_name,
            description=f"hpcobs: HPC job observability, site {site.name}",
            env=Environment(account=site.account, region=site.region),
            termination_protection=site.database.deletion_protection,
        )
        self._site = site
        self._secret = SigningSecret(self, "Signing")
        self._samples = SampleQueue(self, "Samples")
        self._layer = Layer(self, "Layer", target=target)
        self._foundations = self.lay_foundations(
            site, [self._samples.queue, self._samples.dead_letters]
        )
        self._functions = self._add_functions()
        self._http_api = HttpApi(self, "Gateway", site=site, functions=self._functions)
        self._schedules = Schedules(self, "Schedules", functions=self._functions)
        self._topic = AlarmTopic(self, "Alarms", site=site)
        self._watch()
        Budget(self, "Budget", site=site, topic=self._topic)
        add_outputs(self, site=site, url=self._http_api.url, secret=self._secret, topic=self._topic)
        # The site's tags first: they cannot replace the stack's own.
        for key, value in {**site.tags, "project": "hpcobs", "site": site.name}.items():
            Tags.of(self).add(key, value, exclude_resource_types=WITHOUT_TAGS)

    @property
    def availability_zones(self) -> list[str]:
        """The region's first zones. A lookup during synthesis would need an account."""
        return [Fn.select(index, Fn.get_azs()) for index in range(ZONES)]

    def lay_foundations(self, site: Site, queues: Sequence[IQueue]) -> Foundations:
        """Create the network and the database that the functions use."""
        network = Network(self, "Network", site=site, queues=queues)
        kind = Cluster if site.database.engine == "aurora" else Instance
        database = kind(self, "Database", site=site, network=network)
        parts: list[Construct] = [database, network]
        if not site.database.proxy:
            return Foundations(network=network, database=database, front=database, parts=parts)
        proxy = Proxy(self, "Proxy", site=site, database=database)
        return Foundations(network=network, database=database, front=proxy, parts=[*parts, proxy])

    def _add_functions(self) -> Functions:
        migration = Migration(
            self,
            "Migration",
            site=self._site,
            layer=self._layer,
            network=self._foundations.network,
            database=self._foundations.database,
            after=self._foundations.parts,
        )
        self._migrate = migration.migrate
        functions = Functions(
            self,
            "Functions",
            site=self._site,
            layer=self._layer,
            network=self._foundations.network,
            database=self._foundations.database,
            front=self._foundations.front,
            samples=self._samples,
            secret=self._secret,
        )
        migration.before(functions)
        return functions

    def _watch(self) -> None:
        alarms = Alarms(self, "Watch", site=self._site, topic=self._topic)
        functions = {**self._functions.all, "migrate": self._migrate}
        Dashboard(
            self,
            "Dashboard",
            site=self._site,
            http_api=self._http_api,
            samples=self._samples,
            functions=functions,
            database=self._foundations.database,
        )
        for name, function in functions.items():
            alarms.watch_function(name, function)
        alarms.watch_collector(self._functions.collector)
        alarms.watch_queue(self._samples.queue)
        alarms.watch_dead_letters("dead letters", self._samples.dead_letters)
        alarms.watch_dead_letters("schedules undelivered", self._schedules.undelivered)
        alarms.watch_api(self._http_api)
        alarms.watch_database(self._foundations.database)
