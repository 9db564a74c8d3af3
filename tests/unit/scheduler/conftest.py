"""Fixtures of the scheduler's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.forwarder.fake_site import Reply, Site
from tests.unit.scheduler.served import offer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slurmrestd() -> Iterator[Site]:
    """Serve v0.0.38 only, like a slurmrestd of that version."""
    site = Site()
    site.usual = Reply(404, "Unable find requested URL")
    offer(site, "v0.0.38")
    yield site
    site.close()
