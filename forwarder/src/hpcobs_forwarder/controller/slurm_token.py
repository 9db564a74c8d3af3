"""The JWT for slurmrestd, renewed before it expires."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hpcobs_forwarder.claims import claims_of
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.sending.http_client import TokenError, TokenFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs_forwarder.clock import Clock

_ASSUMED_LIFESPAN_SECONDS = 1800.0
_RENEW_AT = 0.5


class SlurmToken:
    """A token from a file that somebody else renews, or from a command that makes one."""

    def __init__(
        self,
        *,
        file: str | None,
        command: str | None,
        run: Callable[[list[str]], bytes],
        clock: Clock,
    ) -> None:
        """Without file and command there is no token, as for slurmrestd's local authentication."""
        self._file = TokenFile(file) if file else None
        self._command = shlex.split(command) if command else []
        self._run = run
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0

    def get(self) -> str | None:
        """The token, or None if there is none to send; SourceError if it cannot be had."""
        if self._file is not None:
            try:
                return self._file.get()
            except TokenError as error:
                raise SourceError(str(error)) from error
        if self._command and self._clock.uptime() >= self._renew_at:
            self._make()
        return self._token or None

    def refused(self) -> None:
        """The token was refused: the next one is made anew."""
        self._renew_at = 0.0

    def _make(self) -> None:
        """Runs the command; ``scontrol token`` prints ``SLURM_JWT=…``."""
        printed = self._run(self._command).decode("ascii", errors="replace").strip()
        self._token = printed.rpartition("SLURM_JWT=")[2].strip()
        expires = (claims_of(self._token) or {}).get("exp")
        lifespan = _ASSUMED_LIFESPAN_SECONDS
        if isinstance(expires, (int, float)):
            lifespan = max(expires - self._clock.wall(), 0.0)
        self._renew_at = self._clock.uptime() + lifespan * _RENEW_AT
