"""The store: the repositories on their connections, and transactions over several calls."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import psycopg

from hpcobs.storage.audit import PostgresAuditTrail
from hpcobs.storage.jobs import PostgresJobs
from hpcobs.storage.nodes import PostgresNodes
from hpcobs.storage.samples import PostgresSamples
from hpcobs.storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs.storage.connections import Connections
    from hpcobs.storage.timings import OperationTimings


class PostgresUnitOfWork:
    """The repositories within one transaction, rolled back unless ``commit`` was called."""

    def __init__(self, session: Session) -> None:
        self.jobs = PostgresJobs(session)
        self.samples = PostgresSamples(session)
        self.audit = PostgresAuditTrail(session)
        self.nodes = PostgresNodes(session)
        self.committed = False

    def commit(self) -> None:
        """Mark the transaction to be committed when its block ends."""
        self.committed = True


class PostgresStore:
    """See ``hpcobs.ports.unit_of_work.Store``."""

    def __init__(self, connections: Connections, timings: OperationTimings) -> None:
        self._session = Session(connections.connection, timings)
        self.jobs = PostgresJobs(self._session)
        self.samples = PostgresSamples(self._session)
        self.audit = PostgresAuditTrail(self._session)
        self.nodes = PostgresNodes(self._session)

    @contextmanager
    def transaction(self) -> Iterator[PostgresUnitOfWork]:
        """Run several calls in one transaction."""
        with (
            self._session.operation("transaction") as connection,
            connection.transaction() as transaction,
        ):
            bound = Session(lambda: nullcontext(connection), self._session.timings, nested=True)
            work = PostgresUnitOfWork(bound)
            yield work
            # Rolled back by default: a use case that forgets to commit must not half succeed.
            if not work.committed:
                raise psycopg.Rollback(transaction)

    def ping(self) -> None:
        """Prove that the database responds. Raise UnavailableError if it does not."""
        with self._session.operation("ping") as connection:
            connection.execute("SELECT 1")
