"""The options of ``hpcobs up``, and what its processes get from them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COLLECT_INTERVAL_SECONDS = 5
"""Shorter than on AWS, so that samples are visible soon."""

ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A local service's options. ``port`` 0 chooses a free one."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080
    database_url: str | None = None
    simulate: bool = True
    nodes: int = 8
    jobs: int = 12
    seed: int = 1
    speed: float = 30.0
    history_hours: float = 0.0
    token_file: Path | None = None


def environment(options: Options, *, database_url: str, secret: str) -> dict[str, str]:
    """Return the environment of functions and simulator: the service's own, with its settings."""
    # A user's COLLECT_INTERVAL_SECONDS overrides ours. Database and secret are always those of this
    # service, even if the variables name those of another one.
    environ = {"COLLECT_INTERVAL_SECONDS": str(COLLECT_INTERVAL_SECONDS), **os.environ}
    environ |= {"DATABASE_URL": database_url, "AUTH_SECRET": secret}
    if options.simulate:
        environ["SCHEDULER_BACKEND"] = "mock"
    return environ


def url(host: str, port: int) -> str:
    """Return the URL, on this machine, of a service that listens on ``host``."""
    # A URL needs brackets around an IPv6 address.
    name = "127.0.0.1" if host in ANYWHERE else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def simulator_arguments(options: Options, service_url: str) -> list[str]:
    """Return the command line of ``hpcobs_local.simulator``."""
    return [
        f"--url={service_url}",
        f"--nodes={options.nodes}",
        f"--jobs={options.jobs}",
        f"--seed={options.seed}",
        f"--speed={options.speed}",
        f"--history-hours={options.history_hours}",
    ]
