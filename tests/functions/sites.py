"""A site as its functions see it: their environment."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs import bootstrap
from tests.functions.gateway import SECRET, Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def site_on(url: str, **environment: str) -> Iterator[Gateway]:
    """Set the environment of a site's Lambdas with a database."""
    usual = {
        "DATABASE_URL": url,
        "DB_MAX_CONNS": "1",
        "DB_MIN_CONNS": "0",
        "AUTH_SECRET": SECRET,
        "CLUSTER_NAME": "lab",
        "SCHEDULER_BACKEND": "slurm",
        "METRICS_RETENTION_DAYS": "3650",  # the tests' samples have fixed dates
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**usual, **environment}.items():
            patch.setenv(name, value)
        bootstrap.reset()
        yield Gateway()
        bootstrap.reset()


@contextmanager
def changed_environment(*made: Any, **environment: str) -> Iterator[None]:
    """Change the environment for a while, and what ``bootstrap`` made of it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        for factory in (bootstrap.settings, *made):
            factory.cache_clear()
        yield
        for factory in (bootstrap.settings, *made):
            factory.cache_clear()
