"""Send requests to slurmrestd. Every failure is an UnavailableError, without the token."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import jwt
import urllib3

from hpcobs.domain.errors import UnavailableError

OLDEST, NEWEST = 36, 60
"""API versions to try. Each one above slurmrestd's newest costs one request, once."""
TIMEOUT = urllib3.Timeout(connect=5.0, read=30.0)
DEFAULT_USER = "slurm"


class Reply(NamedTuple):
    """The status and the body of a response."""

    status: int
    body: bytes


class SlurmrestdClient:
    """Fetches paths below ``/slurm/VERSION``. ``version`` None finds the newest."""

    def __init__(self, base_url: str, *, token: str | None, version: str | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = _authentication(token)
        self._fixed_version = version
        self._version = version
        # No retries: the collector's next pass sends the request again.
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)

    def get(self, path: str) -> Reply:
        """Return the response to a GET of ``path``, such as ``jobs``, whatever its status."""
        version = self._version = self._version or self._newest_version()
        response = self._get(f"{version}/{path}")
        if response.status == HTTPStatus.NOT_FOUND:
            # Slurm may have been upgraded and dropped this version: find one again next time.
            self._version = self._fixed_version
        return Reply(response.status, response.data)

    def _newest_version(self) -> str:
        for number in range(NEWEST, OLDEST - 1, -1):
            # An existing version with a token that slurmctld rejects is a 500 here, not a 404.
            if self._get(f"v0.0.{number}/ping").status != HTTPStatus.NOT_FOUND:
                return f"v0.0.{number}"
        raise UnavailableError(f"slurmrestd offers no API from v0.0.{OLDEST} to v0.0.{NEWEST}")

    def _get(self, path: str) -> urllib3.BaseHTTPResponse:
        url = f"{self._base_url}/slurm/{path}"
        try:
            # A redirect would send the token to another host.
            response = self._pool.request("GET", url, headers=self._headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            # Only the type: the text may hold the request.
            what = type(error).__name__
            raise UnavailableError(f"slurmrestd does not respond: {what}") from error
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise UnavailableError("slurmrestd rejects the token (SLURM_AUTH_TOKEN)")
        return response


def _authentication(token: str | None) -> dict[str, str]:
    """Return the headers of ``rest_auth/jwt``, with the user that the token names."""
    if token is None:
        return {}
    try:
        # Slurm verifies the signature. Here only the user's name is read.
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        claims = {}
    user = str(claims.get("sun") or DEFAULT_USER)
    return {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": token}
