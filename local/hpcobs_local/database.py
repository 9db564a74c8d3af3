"""The service's database: the embedded PostgreSQL, looked after, or one that was named."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from hpcobs_local.guard import Guard
from hpcobs_local.postgres import EmbeddedPostgres, PostgresError

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0


class OwnDatabase:
    """An embedded PostgreSQL that lives as long as the service does."""

    def __init__(self, folder: Path) -> None:
        self._postgres = EmbeddedPostgres(folder)
        self._data = folder / "data"
        self._guard: Guard | None = None

    async def start(self) -> str:
        """Start it and tell its URL; PostgresError if it cannot be started."""
        url = await asyncio.to_thread(self._postgres.start)
        self._guard = Guard(self._data)
        return url

    async def tend(self) -> None:
        """Start it again, on the same port, whenever it has died; until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if await asyncio.to_thread(lambda: self._postgres.running):
                continue
            self._dismiss()
            if not (self._data / "PG_VERSION").exists():
                logger.error("PostgreSQL has died, and its data in %s is gone", self._data)
                continue
            logger.error("PostgreSQL has died, and is started again")
            try:
                await self.start()
            except PostgresError as error:
                logger.error("%s", error)  # noqa: TRY400 - no traceback of ours tells more

    async def stop(self) -> None:
        """Stop it; what is committed is safe."""
        self._dismiss()
        await asyncio.to_thread(self._postgres.stop)

    def _dismiss(self) -> None:
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None
