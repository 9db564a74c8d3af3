"""The embedded PostgreSQL that lives as long as the service: restarted if it dies."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from hpcobs_local.postgres.programs import PostgresError
from hpcobs_local.postgres.server import EmbeddedPostgres
from hpcobs_local.waiting import uncancelled

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
SILENT_SECONDS = 60.0
"""Time without a response after which a living server counts as hung.

Long, because a restart ends all sessions, and a busy machine may be slow."""


class SupervisedPostgres:
    """An embedded PostgreSQL for the time of the service."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder)
        self._responded_at = 0.0

    async def start(self) -> str:
        """Start the server and return its URL. Raise PostgresError if it cannot be started."""
        url = await asyncio.to_thread(self._server.start)
        self._responded_at = time.monotonic()
        return url

    async def supervise(self) -> None:
        """Restart the server, on the same port, when it has died or hangs. Run until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if not await asyncio.to_thread(self._lives):
                await self._restart()

    async def stop(self) -> None:
        """Stop the server, even one that is starting. Committed data is safe."""
        # A start that was cancelled goes on in its thread, which close() waits for.
        await uncancelled(asyncio.to_thread(self._server.close))

    def _lives(self) -> bool:
        if self._server.pid is None:
            return False
        if self._server.responds():
            self._responded_at = time.monotonic()
        return time.monotonic() < self._responded_at + SILENT_SECONDS

    async def _restart(self) -> None:
        # A start on new data would hide the loss. An operator may still restore the old data.
        if not self._server.exists:
            logger.error("PostgreSQL died, and its data in %s is gone", self._server.data)
            return
        logger.error("PostgreSQL died, restarting it")
        try:
            await self.start()
        except PostgresError as error:
            logger.error("%s", error)  # noqa: TRY400 - a traceback of ours adds nothing
