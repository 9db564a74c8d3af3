"""Requests to slurmrestd; every failure is an UnavailableError, and none tells the token."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import jwt
import urllib3

from hpcobs.domain.errors import UnavailableError

OLDEST, NEWEST = 36, 60
"""API versions that are looked for; those above today's newest cost a request each, once."""
TIMEOUT = urllib3.Timeout(connect=5.0, read=30.0)
ASSUMED_USER = "slurm"


class Response(NamedTuple):
    """A status and a body."""

    status: int
    body: bytes


class SlurmrestdClient:
    """Gets what is below ``/slurm/VERSION``; ``version`` is looked for if it is None."""

    def __init__(self, base_url: str, *, token: str | None, version: str | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = _authentication(token)
        self._fixed = version
        self._version = version
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)

    def get(self, what: str) -> Response:
        """The answer to a GET of ``what``, such as ``jobs``."""
        version = self._version = self._version or self._newest()
        response = self._get(f"{version}/{what}")
        if response.status == HTTPStatus.NOT_FOUND:
            self._version = self._fixed  # Slurm may have been upgraded: look again next time
        return response

    def _newest(self) -> str:
        for number in range(NEWEST, OLDEST - 1, -1):
            # A token that slurmctld refuses makes a 500 here, not a 404.
            if self._get(f"v0.0.{number}/ping").status != HTTPStatus.NOT_FOUND:
                return f"v0.0.{number}"
        raise UnavailableError(f"slurmrestd offers no API from v0.0.{OLDEST} to v0.0.{NEWEST}")

    def _get(self, path: str) -> Response:
        url = f"{self._base_url}/slurm/{path}"
        try:
            answer = self._pool.request("GET", url, headers=self._headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"slurmrestd does not answer: {type(error).__name__}") from error
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise UnavailableError("slurmrestd refuses the token (SLURM_AUTH_TOKEN)")
        return Response(answer.status, answer.data)


def _authentication(token: str | None) -> dict[str, str]:
    """The headers of ``rest_auth/jwt``; the user's name stands in the token."""
    if token is None:
        return {}
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        claims = {}
    user = str(claims.get("sun") or ASSUMED_USER)
    return {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": token}
