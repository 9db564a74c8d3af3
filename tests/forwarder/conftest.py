"""Fixtures of the forwarder's tests: made-up folders, a fake clock, and a site over real HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

SOURCE = Path(__file__).parents[2] / "forwarder" / "src"
sys.path.insert(0, str(SOURCE))

from hpcobs_forwarder.daemon.health import Health  # noqa: E402 - found by the path above
from hpcobs_forwarder.spool.spool import Spool  # noqa: E402
from tests.certificates import self_signed, server_context  # noqa: E402
from tests.forwarder.clocks import FakeClock  # noqa: E402
from tests.forwarder.fake_site import Site  # noqa: E402
from tests.forwarder.fake_slurm import Controller  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.forwarder.hooks import Cluster


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def spool(tmp_path: Path, health: Health) -> Iterator[Spool]:
    spool = Spool(str(tmp_path / "spool"), sync=False, health=health)
    spool.open()
    yield spool
    spool.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    # Here, because `hooks` imports `daemon`, which imports this file.
    from tests.forwarder.hooks import Cluster

    return Cluster(tmp_path)


@pytest.fixture
def controller(spool: Spool, health: Health, clock: FakeClock) -> Controller:
    return Controller(spool, health, clock)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Return a file with a self-signed certificate for 127.0.0.1 and its key."""
    return self_signed(tmp_path / "site.pem")


@pytest.fixture
def secure(site: Site, authority: Path) -> Site:
    """Return a site with TLS."""
    site.secure(server_context(authority))
    return site


@pytest.fixture
def mutual_tls(site: Site, authority: Path) -> Site:
    """Return a site with TLS that requires client certificates."""
    site.secure(server_context(authority, require_client=True))
    return site
