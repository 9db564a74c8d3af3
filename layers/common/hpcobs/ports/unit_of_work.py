"""The store as the services see it: single atomic calls, and transactions of several calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from hpcobs.ports.jobs import AuditTrail, JobRepository, NodeRepository
    from hpcobs.ports.samples import SampleRepository


class Repositories(Protocol):
    """The repositories of the store."""

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
    """A transaction. It is rolled back at its end unless it was committed."""

    def commit(self) -> None:
        """Mark the transaction to be committed at its end."""


class Store(Repositories, Protocol):
    """The database. Each call on it is a transaction."""

    def transaction(self) -> AbstractContextManager[UnitOfWork]:
        """Run several calls in one transaction."""

    def ping(self) -> None:
        """Prove that the database responds. Raise UnavailableError if it does not."""
