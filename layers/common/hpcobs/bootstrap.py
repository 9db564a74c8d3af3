"""The composition root: the one place that names concrete adapters.

Each factory runs once per process, at its first call, and imports only the modules that it needs: a
cold start does no work that the process may never need.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import structs

from hpcobs import __version__
from hpcobs.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import _lru_cache_wrapper

    from hpcobs.auth.authenticator import Authenticator
    from hpcobs.auth.networks import Networks
    from hpcobs.auth.rotation import Rotation
    from hpcobs.domain.lifecycle.job_from_event import Origin
    from hpcobs.ports.queue import SampleQueue
    from hpcobs.queue.postgres import PostgresQueue
    from hpcobs.service.collection import Collection, CollectionRules
    from hpcobs.service.health import Health
    from hpcobs.service.ingestion import Ingestion
    from hpcobs.service.job_events import JobEvents
    from hpcobs.service.jobs import Jobs
    from hpcobs.service.rejected import Rejected
    from hpcobs.service.retention import Retention
    from hpcobs.service.scheduler_sync import SchedulerSync
    from hpcobs.service.scrape import Scrape
    from hpcobs.storage.connections import Connections
    from hpcobs.storage.deployment import Deployment
    from hpcobs.storage.store import PostgresStore
    from hpcobs.storage.timings import OperationTimings

# API Gateway stops waiting after 30 s. A request needs time left to return 503.
REQUEST_STATEMENT_TIMEOUT_SECONDS = 10.0
# No client waits here. On AWS an invocation of the collector ends after 60 s too.
WORKER_STATEMENT_TIMEOUT_SECONDS = 60.0

T = TypeVar("T")

_factories: list[_lru_cache_wrapper[Any]] = []


def once(factory: Callable[[], T]) -> _lru_cache_wrapper[T]:
    """Wrap a factory so that it runs once, until ``reset``."""
    made = cache(factory)
    _factories.append(made)
    return made


@once
def settings() -> Settings:
    """Read the environment's settings."""
    return read_settings()


@once
def origin() -> Origin:
    """Return the origin of this service's jobs: its cluster, its scheduler and its version."""
    from hpcobs.domain.jobs import SchedulerType
    from hpcobs.domain.lifecycle.job_from_event import Origin

    return Origin(
        home_cluster=settings().cluster_name,
        scheduler_type=SchedulerType(settings().scheduler_backend),
        ingest_version=__version__,
    )


@once
def timings() -> OperationTimings:
    """Make the collection of this process's storage timings."""
    from hpcobs.storage.timings import OperationTimings

    return OperationTimings()


@once
def connections() -> Connections:
    """Make the connections for requests. Their time limit is short, because clients wait."""
    return _connections(REQUEST_STATEMENT_TIMEOUT_SECONDS)


@once
def worker_connections() -> Connections:
    """Make the connections of the collector and of retention, whose statements may take longer."""
    return _connections(WORKER_STATEMENT_TIMEOUT_SECONDS)


def _connections(statement_timeout_seconds: float) -> Connections:
    """Make one connection in a Lambda, a pool elsewhere."""
    from hpcobs.storage.connections import PooledConnections, SingleConnection
    from hpcobs.storage.conninfo import connect_arguments

    arguments = connect_arguments(settings())
    # Behind a proxy nothing is set in a session: the database's own statement_timeout applies.
    limit = None if settings().db_proxy else statement_timeout_seconds
    if settings().db_max_conns == 1:
        return SingleConnection(arguments, statement_timeout_seconds=limit)
    return PooledConnections(arguments, settings(), statement_timeout_seconds=limit)


@once
def store() -> PostgresStore:
    """Make the repositories of the database."""
    from hpcobs.storage.store import PostgresStore

    return PostgresStore(connections(), timings())


@once
def queue() -> SampleQueue:
    """Make the queue: SQS if its URL is set, else a table in the database."""
    if settings().samples_queue_url:
        from hpcobs.queue.sqs import SqsQueue

        return SqsQueue(
            settings().samples_queue_url or "",
            dead_letter_url=settings().samples_dead_letter_queue_url,
        )
    return postgres_queue()


@once
def postgres_queue() -> PostgresQueue:
    """Make the queue that is a table in the database."""
    from hpcobs.queue.postgres import PostgresQueue

    return PostgresQueue(connections())


@once
def job_events() -> JobEvents:
    """Make the use cases of the events routes."""
    from hpcobs.service.job_events import JobEvents

    return JobEvents(store(), origin())


@once
def jobs() -> Jobs:
    """Make the use cases of the jobs routes."""
    from hpcobs.service.jobs import Jobs

    return Jobs(
        store(),
        kept_days=settings().metrics_retention_days,
        stale_after=timedelta(minutes=settings().stale_job_minutes),
    )


@once
def ingestion() -> Ingestion:
    """Make the use case of the samples route."""
    from hpcobs.service.ingestion import Ingestion

    return Ingestion(queue(), home_cluster=settings().cluster_name)


def _collection_rules() -> CollectionRules:
    from hpcobs.service.collection import CollectionRules

    return CollectionRules(
        home_cluster=settings().cluster_name,
        interval_seconds=settings().collect_interval_seconds,
        retention_days=settings().metrics_retention_days,
    )


@once
def collection() -> Collection:
    """Make the use case of the collector's schedule."""
    from hpcobs.service.collection import Collection
    from hpcobs.storage.sample_writer.writer import PostgresSampleWriter

    writer = PostgresSampleWriter(worker_connections(), timings())
    return Collection(queue(), writer, _collection_rules(), scheduler_sync=scheduler_sync())


@once
def rejected() -> Rejected:
    """Make the use cases of rejected samples."""
    from hpcobs.service.rejected import Rejected
    from hpcobs.storage.rejected import PostgresRejected
    from hpcobs.storage.sample_writer.writer import PostgresSampleWriter

    samples = PostgresRejected(worker_connections(), timings())
    writer = PostgresSampleWriter(worker_connections(), timings())
    return Rejected(samples, writer, _collection_rules())


@once
def scheduler_sync() -> SchedulerSync | None:
    """Make the reader of Slurm's controller, or None if no URL of slurmrestd is set."""
    base_url = settings().slurm_base_url
    if base_url is None:
        return None
    # Most sites have no slurmrestd: their collectors load no HTTP client.
    from hpcobs.scheduler.slurm.client import SlurmrestdClient
    from hpcobs.scheduler.slurm.source import SlurmJobSource
    from hpcobs.service.scheduler_sync import SchedulerSync

    client = SlurmrestdClient(
        base_url, token=settings().slurm_auth_token, version=settings().slurm_api_version
    )
    return SchedulerSync(
        SlurmJobSource(client), job_events(), scheduler=settings().scheduler_backend
    )


@once
def retention() -> Retention:
    """Make the use case of the retention schedule."""
    from hpcobs.service.retention import Retention, RetentionLimits
    from hpcobs.storage.retention import PostgresExpiry
    from hpcobs.storage.rollups import PostgresRollups

    limits = RetentionLimits(
        samples_days=settings().metrics_retention_days,
        rollup_days=settings().rollup_retention_days,
        audit_days=settings().audit_retention_days,
    )
    expiry = PostgresExpiry(worker_connections(), timings())
    return Retention(expiry, PostgresRollups(worker_connections(), timings()), limits)


@once
def scrape() -> Scrape:
    """Make the use case of the metrics route."""
    from hpcobs.exposition.text import write
    from hpcobs.service.scrape import Scrape
    from hpcobs.storage.scrape import PostgresScrape

    stale_after = timedelta(minutes=settings().stale_job_minutes)
    source = PostgresScrape(
        connections(),
        timings(),
        home_cluster=settings().cluster_name,
        stale_after=stale_after,
    )
    return Scrape(source, queue(), write)


@once
def deployment() -> Deployment:
    """Make the use case that migrates the database when a site is deployed."""
    from hpcobs.storage.conninfo import connect_arguments
    from hpcobs.storage.deployment import Deployment

    administrator = settings().db_admin_user
    return Deployment(
        connect_arguments(settings()),
        user=settings().db_user,
        administrator=(
            connect_arguments(structs.replace(settings(), db_user=administrator))
            if administrator
            else None
        ),
    )


@once
def health() -> Health:
    """Make the health check of the database and the queue."""
    from hpcobs.service.health import Health

    return Health(database=store().ping, queue=queue().depth, version=__version__)


@once
def networks() -> Networks | None:
    """Return the networks whose requests are accepted, or None if all are."""
    from hpcobs.auth.networks import networks

    return networks(settings())


@once
def authenticator() -> Authenticator:
    """Make the authenticator of the site's tokens and of its identity provider's."""
    from hpcobs.auth.authenticator import authenticator

    return authenticator(settings())


@once
def rotation() -> Rotation:
    """Make the rotation of the signing key. Raise SettingsError without AUTH_SECRET_ARN."""
    from hpcobs.auth.rotation import Rotation

    arn = settings().auth_secret_arn
    if arn is None:
        raise SettingsError("AUTH_SECRET_ARN: required")
    return Rotation(arn)


def before_snapshot(*factories: Callable[[], object]) -> None:
    """Run the factories that a function needs, if Lambda takes a snapshot afterwards (SnapStart).

    Elsewhere each factory runs at its first call. No factory opens a connection or draws a random
    number, because many environments start from the same snapshot (ADR 0020).
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    for factory in factories:
        factory()
    import boto3

    # boto3 reads a service's description once, for its first client: the next one costs little.
    if settings().db_iam_auth:
        boto3.client("rds")
    if settings().samples_queue_url:
        boto3.client("sqs")
    if settings().auth_secret_arn:
        boto3.client("secretsmanager")


def reset() -> None:
    """Drop everything made so far. Tests use this after a change of the environment."""
    # Without this check, the call would make the connections that it then closes.
    for opened in (connections, worker_connections):
        if opened.cache_info().currsize:
            opened().close()
    for factory in _factories:
        factory.cache_clear()
