"""The store as the services see it: single calls that are atomic, and transactions of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from hpcobs.ports.jobs import AuditTrail, JobRepository, NodeRepository
    from hpcobs.ports.samples import SampleRepository


class Repositories(Protocol):
    """What is kept."""

    @property
    def jobs(self) -> JobRepository:
        """Jobs."""

    @property
    def samples(self) -> SampleRepository:
        """Samples."""

    @property
    def audit(self) -> AuditTrail:
        """The audit trail."""

    @property
    def nodes(self) -> NodeRepository:
        """Nodes."""


class UnitOfWork(Repositories, Protocol):
    """A transaction: what is not committed is rolled back at the end."""

    def commit(self) -> None:
        """Make the work durable."""


class Store(Repositories, Protocol):
    """The database: each call on it is a transaction of its own."""

    def transaction(self) -> AbstractContextManager[UnitOfWork]:
        """Several calls that happen together or not at all."""

    def ping(self) -> None:
        """Prove that the database answers; UnavailableError otherwise."""
