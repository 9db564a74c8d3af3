"""slurmctld queried by slurmrestd, and the token for it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.controller.process import run
from hpcobs_forwarder.controller.slurm_token import SlurmToken
from hpcobs_forwarder.controller.slurmrestd import Slurmrestd
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.sending.http_client import HttpClient
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.slurm_json import JOBS_JSON, NODES_JSON
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.forwarder.clocks import FakeClock


class Slurmctld:
    """A slurmrestd with one API version and recorded responses."""

    def __init__(self, site: Site, version: str, timeout_seconds: float = WAIT_SECONDS) -> None:
        self.site = site
        self.timeout_seconds = timeout_seconds
        site.usual = Reply(404, "{}")
        site.by_path = {
            f"/slurm/{version}/ping": Reply(200, '{"pings": []}'),
            f"/slurm/{version}/jobs": Reply(200, JOBS_JSON),
            f"/slurm/{version}/nodes": Reply(200, NODES_JSON),
        }

    def client(self, token: SlurmToken, version: str | None = None) -> Slurmrestd:
        client = HttpClient(self.site.url, timeout_seconds=self.timeout_seconds)
        return Slurmrestd(client, token, user="slurm", version=version)


@pytest.fixture
def token(tmp_path: Path, clock: FakeClock) -> SlurmToken:
    file = tmp_path / "slurm.jwt"
    file.write_text("jwt\n")
    return SlurmToken(file=str(file), command=None, run=run, clock=clock)


@pytest.mark.parametrize("version", ["v0.0.36", "v0.0.38", "v0.0.45"])
def test_newest_offered_api_version_is_used(site: Site, token: SlurmToken, version: str) -> None:
    client = Slurmctld(site, version).client(token)

    assert len(client.jobs()) == 23
    assert len(client.nodes()) == 2
    assert site.received[-1].headers["X-SLURM-USER-NAME"] == "slurm"
    assert site.received[-1].headers["X-SLURM-USER-TOKEN"] == "jwt"


def test_configured_api_version_is_used_directly(site: Site, token: SlurmToken) -> None:
    Slurmctld(site, "v0.0.38").client(token, "v0.0.38").jobs()

    assert [one.path for one in site.received] == ["/slurm/v0.0.38/jobs"]


def test_api_version_is_found_again_after_upgrade(site: Site, token: SlurmToken) -> None:
    client = Slurmctld(site, "v0.0.38").client(token)
    client.jobs()
    Slurmctld(site, "v0.0.41")
    with pytest.raises(SourceError):
        client.jobs()

    assert len(client.jobs()) == 23


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, '{"jobs": [], "errors": [{"error": "Unable to contact slurm controller"}]}'),
        Reply(500, '{"jobs": []}'),
        Reply(503, JOBS_JSON),
        Reply(202, JOBS_JSON),
        Reply(302, JOBS_JSON),
        Reply(200, '{"jobs": [], "last_update": {"set": true, "number": 0}}'),
        Reply(200, JOBS_JSON[:-1]),
        Reply(200, "<html>"),
        Reply(200, "[]"),
        Reply(401, "Authentication failure"),
    ],
)
def test_response_without_jobs_is_an_error(site: Site, token: SlurmToken, reply: Reply) -> None:
    slurm = Slurmctld(site, "v0.0.38")
    site.by_path["/slurm/v0.0.38/jobs"] = reply

    with pytest.raises(SourceError):
        slurm.client(token, "v0.0.38").jobs()


def test_hanging_slurmrestd_is_an_error(site: Site, token: SlurmToken) -> None:
    slurm = Slurmctld(site, "v0.0.38", timeout_seconds=0.5)
    site.by_path["/slurm/v0.0.38/jobs"] = Reply(hang=True)

    with pytest.raises(SourceError):
        slurm.client(token, "v0.0.38").jobs()


def jwt(expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode()
    return f"e30.{claims.rstrip('=')}.c2ln"


def test_token_command_runs_at_half_life_and_on_rejection(clock: FakeClock) -> None:
    made: list[list[str]] = []

    def scontrol(command: list[str]) -> bytes:
        made.append(command)
        return f"SLURM_JWT={jwt(clock.now + 1000)}\n".encode()

    token = SlurmToken(file=None, command="scontrol token lifespan=1000", run=scontrol, clock=clock)
    assert token.get() == jwt(clock.now + 1000)
    clock.advance(400)
    token.get()
    assert made == [["scontrol", "token", "lifespan=1000"]]
    clock.advance(200)
    token.get()
    assert len(made) == 2
    token.renew()
    token.get()
    assert len(made) == 3


def test_token_rejected_by_slurmctld_is_renewed(site: Site, clock: FakeClock) -> None:
    made = iter(("first", "second"))
    token = SlurmToken(
        file=None, command="scontrol token", run=lambda _: next(made).encode(), clock=clock
    )
    slurm = Slurmctld(site, "v0.0.38")
    client = slurm.client(token, "v0.0.38")
    rejection = '{"jobs": [], "errors": [{"error": "Unspecified error"}]}'
    site.planned = [Reply(500, rejection)]
    with pytest.raises(SourceError):
        client.jobs()

    assert len(client.jobs()) == 23
    assert site.received[-1].headers["X-SLURM-USER-TOKEN"] == "second"
