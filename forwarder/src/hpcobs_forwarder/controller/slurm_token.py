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
"""``scontrol token``'s default, for a token without readable ``exp``."""
_RENEW_AT = 0.5
"""The part of the lifespan after which a new token is made: enough time left for retries."""


class SlurmToken:
    """A token from a file that another program renews, or from a command that prints one."""

    def __init__(
        self,
        *,
        file: str | None,
        command: str | None,
        run: Callable[[list[str]], bytes],
        clock: Clock,
    ) -> None:
        """Use the file, else the command, else no token (slurmrestd's local authentication)."""
        self._file = TokenFile(file) if file else None
        self._command = shlex.split(command) if command else []
        self._run = run
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0

    def get(self) -> str | None:
        """Return the token, or None without file and command. Raise SourceError on failure."""
        if self._file is not None:
            try:
                return self._file.get()
            except TokenError as error:
                raise SourceError(str(error)) from error
        if self._command and self._clock.uptime() >= self._renew_at:
            self._make()
        return self._token or None

    def renew(self) -> None:
        """Make a new token at the next request, because slurmrestd rejected this one."""
        self._renew_at = 0.0

    def _make(self) -> None:
        """Run the command. ``scontrol token`` prints ``SLURM_JWT=…``, others the bare token."""
        printed = self._run(self._command).decode("ascii", errors="replace").strip()
        self._token = printed.rpartition("SLURM_JWT=")[2].strip()
        expires = (claims_of(self._token) or {}).get("exp")
        lifespan = _ASSUMED_LIFESPAN_SECONDS
        if isinstance(expires, (int, float)):
            lifespan = max(expires - self._clock.wall(), 0.0)
        self._renew_at = self._clock.uptime() + lifespan * _RENEW_AT
