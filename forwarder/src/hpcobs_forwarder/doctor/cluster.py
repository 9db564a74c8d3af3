"""Check the cluster's name here, and whether it is the site's own cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.clock import SystemClock, rfc3339
from hpcobs_forwarder.cluster_names import LONGEST, is_cluster_name
from hpcobs_forwarder.compose import site_client
from hpcobs_forwarder.controller.compose import slurm_source
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.daemon.config import NODE
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.doctor.site import token_command
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.sending.http_client import NoResponseError, Response, TokenError, TokenFile
from hpcobs_forwarder.slurm_conf import cluster_name_in_slurm_conf
from hpcobs_forwarder.spool.fallback import Fallback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config

_NO_JOB = "0"
"""An id that no job has: Slurm numbers its jobs from 1."""
_FORBIDDEN = 403


def examine(config: Config) -> Iterator[Finding]:
    """Check the cluster's name. Compare it with the site's if the site can be reached."""
    name = _name(config)
    if name is None:
        yield warning(
            "the cluster's name is not known on this host, so the site uses its own CLUSTER_NAME",
            "if the site serves several clusters, set HPCOBS_CLUSTER_NAME to the ClusterName of "
            "slurm.conf",
        )
    elif not is_cluster_name(name):
        yield failure(
            f"the site accepts no cluster with Slurm's name {name[:80]!r}, and rejects all batches",
            "set HPCOBS_CLUSTER_NAME on all hosts of the cluster: at most "
            f"{LONGEST} letters, digits, _ and -",
        )
        return
    if not config.url:
        return  # a finding of `site` already
    try:
        response = _finish_no_job(config, name)
    except (TokenError, NoResponseError, OSError):
        return  # a finding of `site` already
    yield from _compared(config, response, name)


def _name(config: Config) -> str | None:
    return config.cluster_name or _slurms_name(config) or cluster_name_in_slurm_conf(config.root)


def _slurms_name(config: Config) -> str | None:
    if config.role == NODE:
        records = Records(f"{config.spool_dir}/jobs", Fallback(config.fallback_dir))
        records.refresh()
        return next((one.cluster_name for one in records.all() if one.cluster_name), None)
    source = slurm_source(config, SystemClock())
    try:
        source.jobs()
    except SourceError:
        return None
    return source.cluster_name


def _finish_no_job(config: Config, name: str | None) -> Response:
    # The end of a job that cannot exist changes nothing. The site responds 404 with the id under
    # which it would store the job, and that shows whether it adds the cluster's name.
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
    site = site_client(config)
    try:
        return site.request("POST", "/v1/events/job-finished", json.dumps(event).encode(), headers)
    finally:
        site.close()


def _compared(config: Config, response: Response, name: str | None) -> Iterator[Finding]:
    job_id = _job_id(response.body)
    if response.status in {401, _FORBIDDEN}:
        text = response.body[:200].decode("utf-8", errors="replace")
        # A token may be for one cluster only, and a node's token always is.
        cluster = f" --cluster {name}" if name and response.status == _FORBIDDEN else ""
        yield failure(
            f"the site rejects the token in {config.token_file}: {response.status} {text}",
            f"make a new token: {token_command(config)}{cluster}",
        )
    elif job_id == _NO_JOB:
        yield ok(f"cluster {name or '(unnamed)'} is the site's own: its jobs keep their ids")
    elif job_id is not None:
        yield warning(
            f"cluster {name} is not the site's own: its jobs have the ids {name}.<id> there",
            f"if it should be the site's own, set CLUSTER_NAME={name} at the site",
        )


def _job_id(body: bytes) -> str | None:
    """Return the job id in the details of a 404, or None."""
    try:
        job_id = json.loads(body)["details"]["job_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return job_id if isinstance(job_id, str) else None
