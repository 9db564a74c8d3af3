"""The doctor's findings, and the fixes that it suggests."""

from __future__ import annotations

import json
import re
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from hpcobs_forwarder.claims import claims_of
from hpcobs_forwarder.daemon.config import Config
from hpcobs_forwarder.doctor.report import report
from hpcobs_forwarder.doctor.spool import examine
from tests.forwarder.doctors import (
    FINISHED,
    HEALTHY,
    SLURM_CONF,
    config,
    give_token,
    node,
    not_found,
    problems,
    slurm_file,
)
from tests.forwarder.fake_site import Reply, Site
from tests.forwarder.trees import V1Job, V2Job, record

__all__ = ["config", "node"]


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
def test_token_faults_are_reported(node: Config, given: dict[str, Any], text: str) -> None:
    give_token(node, **given)

    (finding,) = problems(node)

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


def test_foreign_cluster_is_reported(node: Config, site: Site) -> None:
    site.by_path[FINISHED] = not_found("lab.0")

    (finding,) = problems(node)

    assert "its jobs have the ids lab.<id>" in finding.text
    assert "CLUSTER_NAME=lab" in finding.fix


def test_cluster_without_name_is_reported(node: Config, site: Site) -> None:
    slurm_file(node, SLURM_CONF.replace("ClusterName=lab", ""))

    (finding,) = problems(node._replace(cluster_name=None))

    assert "the cluster's name is not known on this host" in finding.text
    assert "cluster_name" not in site.bodies(FINISHED)[0]


@pytest.mark.parametrize("name", ["my.cluster", "c" * 65, "a b"])
def test_name_that_site_rejects_is_reported(node: Config, site: Site, name: str) -> None:
    config = node._replace(cluster_name=None)
    slurm_file(config, SLURM_CONF.replace("ClusterName=lab", f'ClusterName="{name}"'))
    (finding,) = problems(config)
    assert name in finding.text
    assert "HPCOBS_CLUSTER_NAME" in finding.fix
    assert site.bodies(FINISHED) == []


def test_cluster_name_comes_from_record_or_slurm_conf(
    tmp_path: Path, config: Config, site: Site
) -> None:
    slurm_file(config, "# ClusterName=no\n clustername = Frost # x\n")
    problems(config._replace(cluster_name=None))
    record(tmp_path / "spool/jobs", "7", cluster_name="summer")
    problems(config._replace(cluster_name=None))

    assert [body["cluster_name"] for body in site.bodies(FINISHED)] == ["frost", "summer"]


def test_missing_address_stops_no_other_check(node: Config) -> None:

    (finding,) = problems(node._replace(url=""))

    assert finding.text == "HPCOBS_URL is not set"
    assert finding.fix == "set it to the site's address in /etc/hpcobs/node.conf"


def test_stopped_forwarder_is_reported(tmp_path: Path, node: Config) -> None:
    (tmp_path / "spool/lock").unlink()

    (finding,) = problems(node)

    assert finding.fix == "systemctl enable --now hpcobs-forwarder"


def test_token_rejected_by_site_is_reported(node: Config, site: Site) -> None:
    site.by_path[FINISHED] = Reply(401, '{"error": "unauthorized"}')

    (finding,) = problems(node)

    assert "rejects the token" in finding.text


@pytest.mark.parametrize(
    ("mode", "problem"),
    [(0o700, None), (0o777, "another user owns it or may write there"), (None, "there is no fall")],
)
def test_fallback_folder_is_checked(
    tmp_path: Path, config: Config, mode: int | None, problem: str | None
) -> None:
    folder = tmp_path / "fallback"
    if mode is not None:
        folder.mkdir()
        folder.chmod(mode)

    found = [
        one for one in examine(config._replace(fallback_dir=str(folder))) if str(folder) in one.text
    ]

    assert len(found) == 1
    assert (found[0].fix != "") == (problem is not None)
    assert problem is None or problem in found[0].text
