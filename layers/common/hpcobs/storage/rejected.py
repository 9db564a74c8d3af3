"""Rejected samples in PostgreSQL, for the operator."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hpcobs.domain.samples import RejectedSample
from hpcobs.ports.rejected import Listed
from hpcobs.storage.queries import load
from hpcobs.storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.ports.rejected import Place, RejectedFilter
    from hpcobs.storage.connections import Connections
    from hpcobs.storage.timings import OperationTimings

_REJECTED = load("rejected")


class PostgresRejected:
    """See ``hpcobs.ports.rejected.RejectedSamples``."""

    def __init__(self, connections: Connections, timings: OperationTimings) -> None:
        self._session = Session(connections.connection, timings)

    def page(
        self,
        wanted: RejectedFilter,
        *,
        limit: int,
        after: Place | None = None,
        last_id: int | None = None,
    ) -> Sequence[Listed]:
        """Return the oldest samples that match, between the place ``after`` and an id if given."""
        place = dict(zip(("after", "after_id"), after or [None] * 2, strict=True))
        parameters = asdict(wanted) | place | {"limit": limit, "last_id": last_id}
        # Never prepared: a generic plan could not leave out the filters that are not set.
        with self._session.operation("rejected_list") as connection:
            rows = connection.execute(_REJECTED["page"], parameters, prepare=False).fetchall()
        return [Listed(RejectedSample(*sample), at, number) for at, number, *sample in rows]

    def last_id(self) -> int | None:
        """Return the id of the sample that was rejected last, or None without one."""
        with self._session.operation("rejected_last") as connection:
            row = connection.execute(_REJECTED["last_id"]).fetchone()
        return row[0] if row else None

    def count(self, wanted: RejectedFilter) -> int:
        """Return how many samples match."""
        with self._session.operation("rejected_count") as connection:
            row = connection.execute(_REJECTED["count"], asdict(wanted), prepare=False).fetchone()
        return int(row[0]) if row else 0
