"""What the cluster is called here, and whether the site takes it for its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.clock import SystemClock, rfc3339
from hpcobs_forwarder.cluster import name_in_slurm_conf
from hpcobs_forwarder.compose import gateway
from hpcobs_forwarder.config import NODE
from hpcobs_forwarder.controller.compose import slurm_source
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.sending.gateway import Answer, GatewayError
from hpcobs_forwarder.sending.token import TokenError, TokenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.config import Config

_NO_JOB = "0"
"""Slurm numbers its jobs from 1."""


def examine(config: Config) -> Iterator[Finding]:
    """Asks the site for a job that cannot be: its answer tells how it would call one."""
    name = _name(config)
    if name is None:
        yield warning(
            "nothing here says what the cluster is called; the site takes it for its own",
            "set HPCOBS_CLUSTER_NAME as in slurm.conf, if the site serves several clusters",
        )
    if not config.url:
        return  # told elsewhere
    try:
        answer = _asked(config, name)
    except (TokenError, GatewayError, OSError):
        return  # told elsewhere
    yield from _told(answer, name)


def _name(config: Config) -> str | None:
    return config.cluster_name or _slurms_name(config) or name_in_slurm_conf(config.root)


def _slurms_name(config: Config) -> str | None:
    if config.role == NODE:
        records = Records(f"{config.spool_dir}/jobs")
        records.refresh()
        return next((one.cluster_name for one in records.all() if one.cluster_name), None)
    source = slurm_source(config, SystemClock())
    try:
        source.jobs()
    except SourceError:
        return None
    return source.cluster_name


def _asked(config: Config, name: str | None) -> Answer:
    event: dict[str, Any] = {
        "job_id": _NO_JOB,
        "final_state": "failed",
        "timestamp": rfc3339(SystemClock().wall()),
        "source": "epilog" if config.role == NODE else "epilog_slurmctld",
        **({"node": config.node} if config.role == NODE else {}),
        **({"cluster_name": name} if name else {}),
    }
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {TokenFile(config.token_file).get()}",
    }
    site = gateway(config)
    try:
        return site.request("POST", "/v1/events/job-finished", json.dumps(event).encode(), headers)
    finally:
        site.close()


def _told(answer: Answer, name: str | None) -> Iterator[Finding]:
    job_id = _job_id(answer.body)
    if answer.status in {401, 403}:
        said = answer.body[:200].decode("utf-8", errors="replace")
        yield failure(f"the site refuses the token: {answer.status} {said}", "make a new token")
    elif job_id == _NO_JOB:
        yield ok(f"cluster {name or '(unnamed)'}: the site's own, its jobs keep their ids")
    elif job_id is not None:
        yield warning(
            f"cluster {name} is not the site's own: its jobs are called {name}.<id> there",
            f"if it is meant to be, set the site's CLUSTER_NAME={name}",
        )


def _job_id(body: bytes) -> str | None:
    """The job id in the details of a 404."""
    try:
        job_id = json.loads(body)["details"]["job_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return job_id if isinstance(job_id, str) else None
