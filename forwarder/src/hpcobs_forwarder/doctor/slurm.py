"""Check that Slurm responds to the controller role, and how long it remembers a job."""

from __future__ import annotations

import math
import os
import re
import time
from typing import TYPE_CHECKING

from hpcobs_forwarder.clock import SystemClock
from hpcobs_forwarder.controller.compose import slurm_source
from hpcobs_forwarder.controller.process import run
from hpcobs_forwarder.controller.sacct import Sacct
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.doctor.settings import place
from hpcobs_forwarder.doctor.version import version_in
from hpcobs_forwarder.slurm_conf import read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.slurm_conf import SlurmConf

_PASSES_TO_REMEMBER = 10
"""Passes in which a job that has ended must be listed: enough for a restart of this host."""
_DEFAULT_MIN_JOB_AGE = 300
_RECONFIGURE_STARTS_HOOKS = (23, 11)
"""The first version whose ``scontrol reconfigure`` starts slurmctld anew."""


def least_min_job_age(interval_seconds: float) -> int:
    """Return the least MinJobAge, in seconds, for a cluster without slurmdbd."""
    return math.ceil(_PASSES_TO_REMEMBER * interval_seconds)


def examine(config: Config) -> Iterator[Finding]:
    """Check slurmctld, the accounting database, and what is lost without one."""
    clock = SystemClock()
    source = slurm_source(config, clock)
    try:
        jobs, nodes = source.jobs(), source.nodes()
    except SourceError as error:
        yield failure(
            f"slurmctld cannot be queried by {source.name}: {error}",
            "set SLURM_BASE_URL and SLURM_AUTH_* in the configuration, or run this on a host where "
            "`scontrol show jobs` works",
        )
    else:
        yield ok(
            f"slurmctld, queried by {source.name}, has {len(jobs)} jobs and {len(nodes)} nodes"
        )
    conf = read_slurm_conf(config.root)
    yield from _history(config, clock.wall(), conf)
    if conf is not None:
        yield from _started_before(conf)


def _history(config: Config, now: float, conf: SlurmConf | None) -> Iterator[Finding]:
    try:
        ended = Sacct().ended(now - 3600, now)
    except SourceError as error:
        yield warning(
            f"the accounting database cannot be queried: {error}",
            "start slurmdbd, or accept that jobs that end while the forwarder is stopped are known "
            "from their epilogs only",
        )
        if conf is not None:
            yield _min_job_age(conf, least_min_job_age(config.interval_seconds))
    else:
        yield ok(f"the accounting database has {len(ended)} jobs of the last hour")


def _min_job_age(conf: SlurmConf, least: int) -> Finding:
    found = conf.last("MinJobAge")
    try:
        seconds = int(found) if found else _DEFAULT_MIN_JOB_AGE
    except ValueError:
        seconds = -1
    if seconds == 0 or seconds >= least:  # 0: slurmctld keeps all jobs
        return ok(f"MinJobAge={seconds}, at least {least} without an accounting database")
    return warning(
        f"MinJobAge={found or seconds}: without an accounting database, a job that slurmctld "
        "forgets before it is seen keeps the state that its Epilog reported",
        f"write MinJobAge={least} or more in {place(conf)}, then run scontrol reconfigure",
    )


def _started_before(conf: SlurmConf) -> Iterator[Finding]:
    """Compare slurmctld's start with the last change of slurm.conf."""
    try:
        shown = run(["scontrol", "show", "config"]).decode("utf-8", errors="replace")
    except SourceError:
        return
    version = re.search(r"^SLURM_VERSION\s*=\s*(\S+)", shown, re.MULTILINE)
    started = _time(re.search(r"^BOOT_TIME\s*=\s*(\S+)", shown, re.MULTILINE))
    known = version_in(version[1]) if version else None
    if started is None or (known is not None and known >= _RECONFIGURE_STARTS_HOOKS):
        return
    changed = max(filter(None, map(_changed, [conf.path, *conf.includes])), default=0.0)
    if int(changed) > started and (conf.last("PrologSlurmctld") or conf.last("EpilogSlurmctld")):
        yield warning(
            f"{conf.path} was changed after slurmctld had started: a hook of slurmctld that is new "
            "since then does not run, whatever scontrol reconfigure did",
            "restart slurmctld if PrologSlurmctld or EpilogSlurmctld is new (systemctl restart "
            "slurmctld; jobs go on)",
        )


def _changed(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _time(match: re.Match[str] | None) -> float | None:
    """Return a time of ``scontrol`` in epoch seconds: the host's local time."""
    try:
        return time.mktime(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S")) if match else None
    except (ValueError, OverflowError):
        return None
