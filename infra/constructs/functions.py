"""The functions of a site: the settings and the permissions of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from constructs import Construct

from infra.constructs.database.reachable import USER
from infra.constructs.function import SiteFunction, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.build.layer import Layer
    from infra.constructs.database.reachable import ReachableDatabase
    from infra.constructs.network import Network
    from infra.constructs.queue import SampleQueue
    from infra.constructs.secret import SigningSecret
    from infra.site.config import Site

REQUEST_SECONDS = 29
"""API Gateway stops waiting for a response after 30 seconds."""
COLLECTOR_SECONDS = 60

# 1,769 MB come with a whole vCPU, for the functions that need the CPU most: rendering a scrape, and
# storing samples.
SIZES = {
    "api": Size(memory_mb=1024, timeout_seconds=REQUEST_SECONDS),
    "events": Size(memory_mb=1024, timeout_seconds=REQUEST_SECONDS),
    "ingest": Size(memory_mb=1024, timeout_seconds=REQUEST_SECONDS),
    "metrics": Size(memory_mb=1769, timeout_seconds=REQUEST_SECONDS),
    "collector": Size(memory_mb=1769, timeout_seconds=COLLECTOR_SECONDS),
    "retention": Size(memory_mb=512, timeout_seconds=300),
    "authorizer": Size(memory_mb=512, timeout_seconds=10),
    "rotate": Size(memory_mb=256, timeout_seconds=60),
}

BEHIND_API_WITH_DATABASE = ("api", "events", "metrics")
"""They run as often at a time as requests arrive, unless the site limits them."""
ON_THE_WAY_OF_REQUESTS = (*BEHIND_API_WITH_DATABASE, "ingest", "authorizer")
"""A client waits while they start, so they have snapshots with ``snap_start``."""

ROTATION_ACTIONS = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
]


class Functions(Construct):
    """All functions except ``migrate``, which must run before any of these is changed."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        site: Site,
        layer: Layer,
        network: Network | None,
        database: ReachableDatabase,
        front: ReachableDatabase,
        samples: SampleQueue,
        secret: SigningSecret,
    ) -> None:
        """Create the functions. Those behind the API reach the database through ``front``."""
        super().__init__(scope, name)
        self._site = site
        self._layer = layer
        self._network = network
        self._database = database
        self._front = front
        self._samples = samples
        self.api = self._api()
        self.events = self._events()
        self.ingest = self._ingest()
        self.metrics = self._metrics()
        self.collector = self._collector()
        self.retention = self._retention()
        self.authorizer = self._authorizer(secret)
        self.rotate = self._rotate(secret)

    @property
    def all(self) -> dict[str, SiteFunction]:
        """The functions by name."""
        return {name: getattr(self, name) for name in SIZES}

    def _api(self) -> SiteFunction:
        # The queues, because the health check reads their depth.
        settings = self._queues | self._samples_kept | self._stale
        environment = self._cluster | self._callers | settings
        function = self._with_database("api", environment)
        self._may_see_depth(function)
        return function

    def _events(self) -> SiteFunction:
        return self._with_database("events", self._cluster | self._callers)

    def _ingest(self) -> SiteFunction:
        function = self._function("ingest", self._cluster | self._queue | self._callers)
        function.may(["sqs:SendMessage"], [self._samples.queue.queue_arn])
        return function

    def _metrics(self) -> SiteFunction:
        settings = self._queues | self._stale
        function = self._with_database("metrics", self._cluster | self._callers | settings)
        self._may_see_depth(function)
        return function

    def _collector(self) -> SiteFunction:
        interval = {"COLLECT_INTERVAL_SECONDS": str(self._site.collector.interval_seconds)}
        environment = self._cluster | self._queues | self._samples_kept | interval
        function = self._with_database("collector", environment)
        received = ["ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage"]
        function.may([f"sqs:{action}" for action in received], [self._samples.queue.queue_arn])
        # It moves messages that it cannot read, each with its reason.
        function.may(["sqs:SendMessage"], [self._samples.dead_letters.queue_arn])
        return function

    def _retention(self) -> SiteFunction:
        limits = {
            "ROLLUP_RETENTION_DAYS": str(self._site.retention.rollup_days),
            "AUDIT_RETENTION_DAYS": str(self._site.retention.audit_days),
        }
        return self._with_database("retention", self._samples_kept | limits)

    def _authorizer(self, secret: SigningSecret) -> SiteFunction:
        environment = _key(secret) | self._site.identity.environment
        function = self._function("authorizer", environment)
        function.may(["secretsmanager:GetSecretValue"], [secret.secret.secret_arn])
        return function

    def _rotate(self, secret: SigningSecret) -> SiteFunction:
        function = self._function("rotate", _key(secret))
        function.may(ROTATION_ACTIONS, [secret.secret.secret_arn])
        secret.rotate_by(function.function)
        return function

    @property
    def _cluster(self) -> dict[str, str]:
        return {"CLUSTER_NAME": self._site.cluster_name}

    @property
    def _callers(self) -> dict[str, str]:
        networks = " ".join(self._site.gateway.allowed_networks)
        return {"ALLOWED_NETWORKS": networks} if networks else {}

    @property
    def _queue(self) -> dict[str, str]:
        return {"SAMPLES_QUEUE_URL": self._samples.queue.queue_url}

    @property
    def _queues(self) -> dict[str, str]:
        dead_letters = self._samples.dead_letters.queue_url
        return {**self._queue, "SAMPLES_DEAD_LETTER_QUEUE_URL": dead_letters}

    @property
    def _samples_kept(self) -> dict[str, str]:
        return {"METRICS_RETENTION_DAYS": str(self._site.retention.samples_days)}

    @property
    def _stale(self) -> dict[str, str]:
        return {"STALE_JOB_MINUTES": str(self._site.alarms.stale_job_minutes)}

    def _may_see_depth(self, function: SiteFunction) -> None:
        queues = (self._samples.queue, self._samples.dead_letters)
        function.may(["sqs:GetQueueAttributes"], [queue.queue_arn for queue in queues])

    def _with_database(self, name: str, environment: Mapping[str, str]) -> SiteFunction:
        database = self._front if name in BEHIND_API_WITH_DATABASE else self._database
        function = self._function(
            name,
            {**environment, **database.environment},
            network=self._network,
            database=database.label,
        )
        database.admit(function, USER)
        return function

    def _function(
        self,
        name: str,
        environment: Mapping[str, str],
        *,
        network: Network | None = None,
        database: str | None = None,
    ) -> SiteFunction:
        options = self._site.functions
        size = SIZES[name]
        if options.concurrency and name in BEHIND_API_WITH_DATABASE:
            size = replace(size, concurrency=options.concurrency)
        return SiteFunction(
            self,
            name,
            site=self._site,
            layer=self._layer,
            size=size,
            environment=environment,
            network=network,
            database=database,
            snap_start=options.snap_start and name in ON_THE_WAY_OF_REQUESTS,
        )


def _key(secret: SigningSecret) -> dict[str, str]:
    return {"AUTH_SECRET_ARN": secret.secret.secret_arn}
