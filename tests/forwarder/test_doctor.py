"""The doctor's findings, and the fixes that it suggests."""

from __future__ import annotations

import base64
import json
import re
import time
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.claims import claims_of
from hpcobs_forwarder.daemon.config import Config
from hpcobs_forwarder.daemon.health import Health
from hpcobs_forwarder.doctor.report import examine, report
from hpcobs_forwarder.spool.spool import Spool
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.trees import V1Job, V2Job, host, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.doctor.finding import Finding

FINISHED = "/v1/events/job-finished"
HEALTHY = Reply(200, '{"status": "healthy"}')


def not_found(job_id: str) -> Reply:
    return Reply(404, json.dumps({"error": "not_found", "details": {"job_id": job_id}}))


def token(lifetime_seconds: float = 1e7, **claims: Any) -> str:
    expires_at = time.time() + lifetime_seconds
    defaults = {"scope": "events:write samples:write", "exp": expires_at, "node": "n1"}
    middle = base64.urlsafe_b64encode(json.dumps({**defaults, **claims}).encode()).decode()
    return f"e30.{middle.rstrip('=')}.c2ln"


@pytest.fixture
def config(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    monkeypatch.delenv("SLURM_CONF", raising=False)
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
    yield config
    spool.close()


def give_token(config: Config, mode: int = 0o600, **claims: Any) -> None:
    file = Path(config.token_file)
    file.write_text(token(**claims))
    file.chmod(mode)


def problems(config: Config) -> list[Finding]:
    return [finding for finding in examine(config) if finding.level != "ok"]


def test_healthy_node_has_nothing_to_fix(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    V2Job(tmp_path, "job_7").cpu(12)
    record(tmp_path / "spool/jobs", "7")

    assert report(config) == 0

    output = capsys.readouterr().out
    assert "fix:" not in output
    assert output.endswith("0 failures, 0 warnings\n")
    assert "cgroup_v2: job_7 has used 12.0 CPU seconds" in output
    assert "slurmstepd.scope" in output


def test_node_without_jobs_explains_what_to_set(config: Config) -> None:
    (finding,) = problems(config)

    assert "Slurm has no folder" in finding.text
    assert "slurm.conf" in finding.fix


def test_missing_memory_accounting_explains_what_to_set(tmp_path: Path, config: Config) -> None:
    (V2Job(tmp_path, "job_7").path / "memory.current").unlink()
    record(tmp_path / "spool/jobs", "7")

    (finding,) = problems(config)

    assert finding.level == "FAIL"
    assert "ConstrainRAMSpace=yes" in finding.fix


@pytest.mark.parametrize("version", [1, 2])
def test_different_node_name_is_reported(tmp_path: Path, config: Config, version: int) -> None:
    if version == 1:
        V1Job(tmp_path, "job_7", "slurm_gpu-01")
    else:
        V2Job(tmp_path, "job_7", "gpu-01_slurmstepd.scope")
    record(tmp_path / "spool/jobs", "7")

    (finding,) = problems(config)

    assert finding.fix == "set HPCOBS_NODE=gpu-01 in /etc/hpcobs/node.conf"


def test_missing_prolog_record_is_reported(tmp_path: Path, config: Config) -> None:
    V2Job(tmp_path, "job_7")

    (finding,) = problems(config)

    assert "0 of 1 running jobs" in finding.text
    assert "Prolog=" in finding.fix


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"mode": 0o644}, "all users can read it"),
        ({"scope": "events:write"}, "lacks samples:write"),
        ({"node": "n2"}, "is for node n2"),
        ({"lifetime_seconds": -1}, "has expired"),
        ({"lifetime_seconds": 3600}, "expires in 1 hours"),
    ],
)
def test_token_faults_are_reported(
    tmp_path: Path, config: Config, given: dict[str, Any], text: str
) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7")
    give_token(config, **given)

    (finding,) = problems(config)

    assert text in finding.text


def test_missing_token_explains_where_to_put_one(tmp_path: Path, config: Config) -> None:
    (tmp_path / "token").unlink()

    finding = problems(config)[-1]

    assert "cannot be read" in finding.text
    assert config.token_file in finding.fix


def test_unreachable_site_is_reported(config: Config, site: Site) -> None:
    site.close()

    assert "cannot be reached" in problems(config)[-1].text


def test_address_of_another_service_is_reported(config: Config, site: Site) -> None:
    site.usual = Reply(200, "<html>")

    assert "address of an hpcobs site" in problems(config)[-1].fix


def test_clock_skew_is_reported(config: Config, site: Site) -> None:
    behind = formatdate(time.time() - 86_400, usegmt=True)
    site.usual = HEALTHY._replace(headers=(("Date", behind),))

    assert re.search(r"clock is \+86[45]\d\d s off", problems(config)[-1].text)


def test_missing_spool_and_quarantined_files_are_reported(tmp_path: Path, config: Config) -> None:
    (tmp_path / "spool/quarantine/1-1-a.batch").write_text("x")
    assert "1 files that the site rejected" in problems(config)[-1].text

    missing = config._replace(spool_dir=str(tmp_path / "none"))
    assert "does not exist" in problems(missing)[-1].text


def test_token_of_other_cluster_is_reported(config: Config, site: Site) -> None:
    message = "this token may only speak for cluster frost, and the request speaks for lab"
    site.by_path[FINISHED] = Reply(403, json.dumps({"error": "forbidden", "message": message}))

    (finding,) = [one for one in problems(config) if message in one.text]

    assert finding.fix.endswith("--node n1 --cluster lab")


def test_unreadable_gpus_are_reported(config: Config) -> None:
    finding = problems(config._replace(gpus="nvidia"))[-1]

    assert "nvidia GPUs cannot be read" in finding.text


@pytest.mark.parametrize("text", ["", "opaque", "a.b", "a.!!.c", "e30.W10.c2ln"])
def test_token_without_jwt_has_no_claims(text: str) -> None:
    assert claims_of(text) is None


def test_foreign_cluster_is_reported(tmp_path: Path, config: Config, site: Site) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7")
    site.by_path[FINISHED] = not_found("lab.0")

    (finding,) = problems(config)

    assert "its jobs have the ids lab.<id>" in finding.text
    assert "CLUSTER_NAME=lab" in finding.fix


def test_cluster_without_name_is_reported(tmp_path: Path, config: Config, site: Site) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7")

    (finding,) = problems(config._replace(cluster_name=None))

    assert "the cluster's name is not known on this host" in finding.text
    assert "cluster_name" not in site.bodies(FINISHED)[0]


def test_cluster_name_comes_from_record_or_slurm_conf(
    tmp_path: Path, config: Config, site: Site
) -> None:
    slurm_conf(tmp_path, "# ClusterName=no\n clustername = Frost # x\n")
    problems(config._replace(cluster_name=None))
    record(tmp_path / "spool/jobs", "7", cluster_name="summer")
    problems(config._replace(cluster_name=None))

    assert [body["cluster_name"] for body in site.bodies(FINISHED)] == ["frost", "summer"]


def test_missing_address_stops_no_other_check(tmp_path: Path, config: Config) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7")

    (finding,) = problems(config._replace(url=""))

    assert finding.text == "HPCOBS_URL is not set"
    assert finding.fix == "set it to the site's address in /etc/hpcobs/node.conf"


def test_stopped_forwarder_is_reported(tmp_path: Path, config: Config) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7")
    (tmp_path / "spool/lock").unlink()

    (finding,) = problems(config)

    assert finding.fix == "systemctl enable --now hpcobs-forwarder"


def slurm_conf(tmp_path: Path, text: str) -> None:
    (tmp_path / "etc/slurm").mkdir(parents=True, exist_ok=True)
    (tmp_path / "etc/slurm/slurm.conf").write_text(text)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("Prolog={hook}\nEpilog={hook}\n", None),
        ("prolog = {hook}\nEpilog={folder}/h*\nProlog={hook} # ours\n", None),
        ("Include more.conf\n", None),
        ("Prolog={hook}\n", "sets no Epilog"),
        ("Prolog={hook}\nEpilog={hook}.away\n", "there is no such file"),
        ("Prolog={hook}\nEpilog={folder}/closed\n", "closed is not executable"),
    ],
)
def test_hooks_in_slurm_conf_are_checked(
    tmp_path: Path, config: Config, lines: str, text: str | None
) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7")
    for name, mode in (("hook", 0o755), ("closed", 0o644)):
        (tmp_path / name).touch(mode)
    slurm_conf(tmp_path, lines.format(hook=tmp_path / "hook", folder=tmp_path))

    found = problems(config)

    assert [text in finding.text for finding in found if text] == [True] * bool(text)
    assert len(found) == bool(text)


def test_token_rejected_by_site_is_reported(tmp_path: Path, config: Config, site: Site) -> None:
    V2Job(tmp_path, "job_7")
    record(tmp_path / "spool/jobs", "7")
    site.by_path[FINISHED] = Reply(401, '{"error": "unauthorized"}')

    (finding,) = problems(config)

    assert "rejects the token" in finding.text
