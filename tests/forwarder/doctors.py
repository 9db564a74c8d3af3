"""A node and a controller with nothing for the doctor to fix, to break one thing at a time."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.daemon.config import Config
from hpcobs_forwarder.daemon.health import Health
from hpcobs_forwarder.doctor.report import examine
from hpcobs_forwarder.spool.spool import Spool
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.trees import V2Job, host, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.doctor.finding import Finding

FINISHED = "/v1/events/job-finished"
HEALTHY = Reply(200, '{"status": "healthy"}')
HOOKS = Path(__file__).parents[2] / "forwarder/slurm"
SLURM_CONF = f"""\
# as the guide has it
ClusterName=lab
SlurmUser=root
PrologFlags=Alloc,Contain
ProctrackType=proctrack/cgroup
TaskPlugin=task/affinity,task/cgroup
JobAcctGatherType=jobacct_gather/cgroup
AuthAltTypes=auth/jwt
MinJobAge=300
GresTypes=gpu
AccountingStorageTRES=gres/gpu
Prolog={HOOKS}/prolog
Epilog={HOOKS}/epilog
PrologSlurmctld={HOOKS}/prolog_slurmctld
EpilogSlurmctld={HOOKS}/epilog_slurmctld
NodeName=n[1-4] CPUs=8 RealMemory=16000
"""
CGROUP_CONF = "ConstrainRAMSpace=yes\nConstrainCores=yes\nConstrainDevices=yes\n"
GRES_CONF = "NodeName=n[1-4] Name=gpu File=/dev/nvidia[0-3]\n"
COMMANDS = {
    "scontrol": """\
case $* in
    --version) echo "slurm-wlm $VERSION" ;;
    'show config')
        echo 'BOOT_TIME               = 2099-01-01T00:00:00'
        echo "SLURM_VERSION           = $VERSION" ;;
    *jobs) echo '{"jobs": []}' ;;
    *nodes) echo '{"nodes": []}' ;;
esac
""",
    "sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1\n",
}


def not_found(job_id: str) -> Reply:
    return Reply(404, json.dumps({"error": "not_found", "details": {"job_id": job_id}}))


def token(lifetime_seconds: float = 1e7, **claims: Any) -> str:
    expires_at = time.time() + lifetime_seconds
    defaults = {"scope": "events:write samples:write", "exp": expires_at, "node": "n1"}
    middle = base64.urlsafe_b64encode(json.dumps({**defaults, **claims}).encode()).decode()
    return f"e30.{middle.rstrip('=')}.c2ln"


def give_token(config: Config, mode: int = 0o600, **claims: Any) -> None:
    file = Path(config.token_file)
    file.write_text(token(**claims))
    file.chmod(mode)


def slurm_file(config: Config, text: str, name: str = "slurm.conf") -> Path:
    """Write one of Slurm's files of this host."""
    folder = Path(config.root, "etc/slurm")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def commands(config: Config, version: str = "22.05.8", **changed: str) -> None:
    """Install Slurm's commands of a version, some of them changed."""
    folder = Path(config.root, "bin")
    folder.mkdir(exist_ok=True)
    for name, script in {**COMMANDS, **changed}.items():
        (folder / name).write_text(f"#!/bin/sh\nVERSION={version}\n{script}")
        (folder / name).chmod(0o755)


def gpus(config: Config, *names: str) -> None:
    """Make device files of GPUs."""
    for name in names:
        path = Path(config.root, "dev", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def problems(config: Config, path: str | None = None) -> list[Finding]:
    return [finding for finding in examine(config, path) if finding.level != "ok"]


def levels(config: Config) -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for finding in examine(config)]


@pytest.fixture
def config(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """Yield the configuration of a node on which all is well, but without a job."""
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    host(tmp_path)
    site.usual = HEALTHY
    site.by_path[FINISHED] = not_found("0")
    spool = Spool(str(tmp_path / "spool"), sync=False, health=Health())
    spool.open()  # as a running forwarder
    config = Config(
        role="node",
        url=site.url,
        token_file=str(tmp_path / "token"),
        spool_dir=str(tmp_path / "spool"),
        node="n1",
        root=str(tmp_path),
        spool_max_mb=1,
        cluster_name="lab",
    )
    give_token(config)
    slurm_file(config, SLURM_CONF)
    slurm_file(config, CGROUP_CONF, "cgroup.conf")
    commands(config)
    yield config
    spool.close()


@pytest.fixture
def node(tmp_path: Path, config: Config) -> Config:
    """Return the configuration of a node that runs a job."""
    V2Job(tmp_path, "job_7").cpu(12)
    record(tmp_path / "spool/jobs", "7", node="n1")
    return config


@pytest.fixture
def controller(config: Config) -> Config:
    """Return the configuration of slurmctld's host."""
    give_token(config, scope="events:write", node=None)
    return config._replace(role="controller", interval_seconds=30.0)
