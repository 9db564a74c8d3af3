"""The embedded PostgreSQL that lives as long as the service: guarded, and restarted if it dies."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from hpcobs_local.postgres.programs import PostgresError
from hpcobs_local.postgres.server import EmbeddedPostgres
from hpcobs_local.watchdog import ShutdownGuard

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0


class SupervisedPostgres:
    """An embedded PostgreSQL with a shutdown guard."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder)
        self._guard: ShutdownGuard | None = None

    async def start(self) -> str:
        """Start the server and return its URL. Raise PostgresError if it cannot be started."""
        url = await asyncio.to_thread(self._server.start)
        if (pid := self._server.pid) is not None:
            self._guard = ShutdownGuard(pid)
        return url

    async def supervise(self) -> None:
        """Restart the server, on the same port, whenever it has died. Run until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if await asyncio.to_thread(lambda: self._server.running):
                continue
            self._dismiss_guard()
            # A start on new data would hide the loss. An operator may still restore the old data.
            if not self._server.exists:
                logger.error("PostgreSQL died, and its data in %s is gone", self._server.data)
                continue
            logger.error("PostgreSQL died, restarting it")
            try:
                await self.start()
            except PostgresError as error:
                logger.error("%s", error)  # noqa: TRY400 - a traceback of ours adds nothing

    async def stop(self) -> None:
        """Stop the server. Committed data is safe."""
        self._dismiss_guard()
        await asyncio.to_thread(self._server.stop)

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None
