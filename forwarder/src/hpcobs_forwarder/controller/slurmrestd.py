"""Query slurmctld by slurmrestd, with the newest API that it offers, from v0.0.36 on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.decode import decoded
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.nodes import node_of
from hpcobs_forwarder.controller.records import Faults, parsed
from hpcobs_forwarder.controller.source import SourceError, cluster_of, listed
from hpcobs_forwarder.sending.http_client import HttpClient, NoResponseError, Response

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.slurm_token import SlurmToken

OLDEST, NEWEST = 36, 60
"""The versions tried. Those above today's newest cost a few requests at the start."""

_OK, _UNAUTHORISED, _NOT_FOUND = 200, 401, 404


class Slurmrestd:
    """slurmctld, queried by slurmrestd."""

    name = "slurmrestd"

    def __init__(
        self, client: HttpClient, token: SlurmToken, *, user: str, version: str | None = None
    ) -> None:
        """Find the newest version at the first query if ``version`` is None."""
        self._client = client
        self._token = token
        self._user = user
        self._fixed = version
        self._version = version
        self.cluster_name: str | None = None
        self.faults = Faults()

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs in slurmctld's memory. Raise SourceError."""
        raw = self._list("jobs")
        self.cluster_name = cluster_of(raw) or self.cluster_name
        self.faults = Faults()
        return parsed(raw, job_of, self.faults)

    def nodes(self) -> list[dict[str, Any]]:
        """Return all nodes. Raise SourceError."""
        return parsed(self._list("nodes"), node_of, Faults())

    def _list(self, what: str) -> list[Any]:
        try:
            if self._version is None:
                self._version = self._newest()
            return self._listed(self._version, what)
        except NoResponseError as error:
            raise SourceError(f"no response: {error}") from error
        finally:
            self._client.close()

    def _listed(self, version: str, what: str) -> list[Any]:
        response = self._get(f"/slurm/{version}/{what}")
        if response.status == _NOT_FOUND:
            self._version = self._fixed  # Slurm was upgraded: find the version again next time
        try:
            return _found(response, what)
        except SourceError:
            # A token that slurmctld rejects gives a 500 like any other error, so any error may mean
            # that the token is stale.
            self._token.renew()
            raise

    def _newest(self) -> str:
        for number in range(NEWEST, OLDEST - 1, -1):
            # Anything but 404 means that the version exists: a rejected token gives a 500 here.
            if self._get(f"/slurm/v0.0.{number}/ping").status != _NOT_FOUND:
                return f"v0.0.{number}"
        raise SourceError(f"no API version from v0.0.{OLDEST} to v0.0.{NEWEST} is offered")

    def _get(self, path: str) -> Response:
        token = self._token.get()
        headers = {"X-SLURM-USER-NAME": self._user}
        if token is not None:
            headers["X-SLURM-USER-TOKEN"] = token
        response = self._client.request("GET", path, None, headers)
        if response.status == _UNAUTHORISED:
            self._token.renew()
            raise SourceError("the token was rejected: check the SLURM_AUTH_* settings")
        return response


def _found(response: Response, what: str) -> list[Any]:
    try:
        body = decoded(response.body)
    except ValueError as error:
        raise SourceError(f"response {response.status} without JSON: {error}") from error
    # The oldest versions answer 500 with an empty list and no error if slurmctld is silent.
    if response.status != _OK:
        raise SourceError(f"response {response.status}: {response.excerpt()}")
    return listed(body, what)
