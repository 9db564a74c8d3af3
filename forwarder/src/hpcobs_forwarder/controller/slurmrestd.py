"""Asking slurmctld by slurmrestd, from API v0.0.36 to the newest that it offers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.nodes import node_of
from hpcobs_forwarder.controller.source import SourceError, cluster_of, listed
from hpcobs_forwarder.sending.http_client import HttpClient, NoResponseError, Response

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.slurm_token import SlurmToken

OLDEST, NEWEST = 36, 60
"""The versions looked for; those above today's newest cost a few requests at the start."""

_UNAUTHORISED, _NOT_FOUND = 401, 404


class Slurmrestd:
    """slurmctld behind slurmrestd."""

    name = "slurmrestd"

    def __init__(
        self, client: HttpClient, token: SlurmToken, *, user: str, version: str | None = None
    ) -> None:
        """``version`` is looked for if it is None."""
        self._client = client
        self._token = token
        self._user = user
        self._fixed = version
        self._version = version
        self.cluster_name: str | None = None

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs in slurmctld's memory."""
        raw = self._list("jobs")
        self.cluster_name = cluster_of(raw) or self.cluster_name
        return [job for job in map(job_of, raw) if job is not None]

    def nodes(self) -> list[dict[str, Any]]:
        """All nodes."""
        return [node for node in map(node_of, self._list("nodes")) if node is not None]

    def _list(self, what: str) -> list[dict[str, Any]]:
        try:
            if self._version is None:
                self._version = self._newest()
            return self._listed(self._version, what)
        except NoResponseError as error:
            raise SourceError(f"slurmrestd: {error}") from error
        finally:
            self._client.close()

    def _listed(self, version: str, what: str) -> list[dict[str, Any]]:
        answer = self._get(f"/slurm/{version}/{what}")
        if answer.status == _NOT_FOUND:
            self._version = self._fixed  # Slurm was upgraded: look again next time
        try:
            return listed(json.loads(answer.body), what)
        except ValueError as error:
            raise SourceError(f"slurmrestd answered {answer.status}, no JSON: {error}") from error
        except SourceError:
            self._token.refused()  # what slurmctld refuses is an error like any other: 500
            raise

    def _newest(self) -> str:
        for number in range(NEWEST, OLDEST - 1, -1):
            # A token that slurmctld refuses makes a 500 here, not a 404.
            if self._get(f"/slurm/v0.0.{number}/ping").status != _NOT_FOUND:
                return f"v0.0.{number}"
        raise SourceError(f"slurmrestd offers no API from v0.0.{OLDEST} to v0.0.{NEWEST}")

    def _get(self, path: str) -> Response:
        token = self._token.get()
        headers = {"X-SLURM-USER-NAME": self._user}
        if token is not None:
            headers["X-SLURM-USER-TOKEN"] = token
        answer = self._client.request("GET", path, None, headers)
        if answer.status == _UNAUTHORISED:
            self._token.refused()
            raise SourceError("slurmrestd refuses the token (SLURM_AUTH_*)")
        return answer
