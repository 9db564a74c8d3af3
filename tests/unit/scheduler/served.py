"""A slurmrestd that serves recorded responses over real HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec

from hpcobs.scheduler.slurm import records
from hpcobs.scheduler.slurm.client import SlurmrestdClient
from hpcobs.scheduler.slurm.source import SlurmJobSource
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.slurm_json import FIXTURES, RECORDED

JOBS = (FIXTURES / "slurmrestd-v0.0.38-jobs.json").read_text()
NODES = (FIXTURES / "slurmrestd-v0.0.38-nodes.json").read_text()
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = jwt.encode({"sun": "observer"}, "k" * 32)
UNKNOWN = {"errors": [{"error_number": 2017, "error": "Invalid job id specified"}], "jobs": []}


def offer(site: Site, version: str) -> None:
    alone = json.dumps({"jobs": [RECORDED[0]], "errors": []})
    site.by_path = {
        f"/slurm/{version}/ping": Reply(200, "{}"),
        f"/slurm/{version}/jobs": Reply(200, JOBS),
        f"/slurm/{version}/nodes": Reply(200, NODES),
        f"/slurm/{version}/job/1": Reply(200, alone),
        f"/slurm/{version}/job/99": Reply(500, json.dumps(UNKNOWN)),
    }


def source(site: Site, version: str | None = "v0.0.38") -> SlurmJobSource:
    return SlurmJobSource(SlurmrestdClient(site.url, token=TOKEN, version=version), lambda: NOW)


def read(raw: dict[str, Any]) -> Any:
    return records.parse_jobs([msgspec.Raw(msgspec.json.encode(raw))], NOW)
