"""The doctor's findings in slurm.conf and cgroup.conf, each with the line to write."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from hpcobs_forwarder.daemon.config import Config
from hpcobs_forwarder.doctor.report import report
from tests.forwarder.doctors import (
    CGROUP_CONF,
    HOOKS,
    SLURM_CONF,
    config,
    controller,
    gpus,
    levels,
    node,
    problems,
    slurm_file,
)
from tests.forwarder.trees import record
from tests.slurm.guide import PAGE, blocks

__all__ = ["config", "controller", "node"]

DEMANDED = ("PrologFlags", "ProctrackType", "TaskPlugin", "JobAcctGatherType")


def without(name: str, text: str = SLURM_CONF) -> str:
    return re.sub(rf"(?m)^{name}=.*\n", "", text)


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("PrologFlags=Alloc,Contain", None),
        ("PrologFlags=contain", None),
        ('PrologFlags="X11"', None),
        ("prologflags = RunInJob", None),
        ("PrologFlags=Alloc", "PrologFlags=Alloc,Contain"),
        ("PrologFlags=Alloc,NoHold", "PrologFlags=Alloc,Contain"),
        ("PrologFlags=Contain,NoHold", "PrologFlags=Contain,Alloc"),
        ("PrologFlags=DeferBatch", "PrologFlags=DeferBatch,Alloc,Contain"),
        ("PrologFlags=Contained", "PrologFlags=Contained,Alloc,Contain"),
        ("#PrologFlags=Contain", "PrologFlags=Alloc,Contain"),
        ("", "PrologFlags=Alloc,Contain"),
        ("ProctrackType=proctrack/linuxproc", "ProctrackType=proctrack/cgroup"),
        ("ProctrackType=proctrack/pgid", "ProctrackType=proctrack/cgroup"),
        ("TaskPlugin=task/cgroup", None),
        ("TaskPlugin=affinity,cgroup", None),
        ("TaskPlugin=task/none", "TaskPlugin=task/affinity,task/cgroup"),
        ("TaskPlugin=task/affinity", "TaskPlugin=task/affinity,task/cgroup"),
        ("TaskPlugin=task/cray_aries", "TaskPlugin=task/cray_aries,task/affinity,task/cgroup"),
        ("JobAcctGatherType=jobacct_gather/linux", "JobAcctGatherType=jobacct_gather/cgroup"),
        ("JobAcctGatherType=jobacct_gather/none", "JobAcctGatherType=jobacct_gather/cgroup"),
    ],
)
@pytest.mark.parametrize("role", ["node", "controller"])
def test_setting_is_checked_with_line_to_write(
    request: pytest.FixtureRequest, role: str, line: str, fix: str | None
) -> None:
    config: Config = request.getfixturevalue(role)
    name = (line.strip("#") or "PrologFlags").partition("=")[0].strip()
    before = {finding.text for finding in problems(config)}
    path = slurm_file(config, f"{without(name.replace('prologflags', 'PrologFlags'))}{line}\n")

    found = [finding for finding in problems(config) if finding.text not in before]

    assert len(found) == (fix is not None)
    if fix is not None:
        (finding,) = found
        assert finding.level == "warn"
        assert finding.fix.startswith(f"write {fix} in {path}, so that ")
        assert "restart slurmctld and every slurmd" in finding.fix


@pytest.mark.parametrize("name", DEMANDED)
def test_later_line_overrides_good_one(node: Config, name: str) -> None:
    slurm_file(node, f"{SLURM_CONF}{name}=other\n")

    (finding,) = problems(node)

    assert f"sets {name}=other" in finding.text


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (CGROUP_CONF, []),
        ("constrainramspace = TRUE\nConstrainCores=1 # x\n", []),
        ("ConstrainRAMSpace=yes\n", ["ConstrainCores"]),
        ("ConstrainCores=no\nConstrainRAMSpace=yes\n", ["ConstrainCores"]),
        ("ConstrainSwapSpace=yes\nConstrainCores=yes", ["ConstrainRAMSpace"]),
        ("ConstrainRAMSpace=yes ConstrainCores=yes", ["ConstrainCores"]),
        ("", ["ConstrainRAMSpace", "ConstrainCores"]),
        (None, ["ConstrainRAMSpace", "ConstrainCores"]),
    ],
)
def test_settings_of_cgroup_conf_are_checked(
    node: Config, text: str | None, missing: list[str]
) -> None:
    path = slurm_file(node, text or "", "cgroup.conf")
    if text is None:
        path.unlink()

    found = problems(node)

    assert len(found) == len(missing)
    for finding, name in zip(found, missing):
        assert finding.fix.startswith(f"write {name}=yes in {path}, so that ")


def test_absent_slurm_conf_is_reported(node: Config) -> None:
    Path(node.root, "etc/slurm/slurm.conf").unlink()

    (finding,) = problems(node)

    assert "slurm.conf cannot be read" in finding.text
    assert "SLURM_CONF" in finding.fix


def test_included_setting_counts_and_absent_file_is_named(node: Config) -> None:
    slurm_file(node, "ProctrackType=proctrack/cgroup\n", "more.conf")
    slurm_file(node, without("ProctrackType") + "Include more.conf\nInclude absent.conf\n")

    (finding,) = problems(node)

    assert finding.text.endswith("absent.conf, which cannot be read")


def test_configless_host_edits_file_elsewhere(node: Config) -> None:
    folder = Path(node.root, "run/slurm/conf")
    folder.mkdir(parents=True)
    for file in Path(node.root, "etc/slurm").iterdir():
        file.rename(folder / file.name)
    (folder / "slurm.conf").write_text(without("TaskPlugin"))

    (finding,) = problems(node)

    assert "in slurm.conf on slurmctld's host, so that" in finding.fix


@pytest.mark.parametrize(
    ("lines", "ours", "fix"),
    [
        ("NodeName={host}", "{host}", None),
        ("NodeName=x NodeHostname={host}", "x", None),
        ("NodeName=x[1-2] NodeHostname={host}", "x2", None),
        ("NodeName=x[1-2] NodeHostname=y,{host}", "x2", None),
        ("NodeName=DEFAULT CPUs=2\nNodeName={host}", "{host}", None),
        ("NodeName=x NodeHostname={host}", "{host}", "HPCOBS_NODE=x in"),
        ("NodeName=x[1-2] NodeHostname=y,{host}", "{host}", "HPCOBS_NODE=x2 in"),
        ("NodeName={host}.example.org", "{host}", "HPCOBS_NODE={host}.example.org in"),
        ("NodeName={host}.a\nNodeName={host}", "{host}", None),
        ("NodeName=x[1-2] NodeHostname={host}", "{host}", "HPCOBS_NODE to one of them"),
        ("NodeName=other", "{host}", "HPCOBS_NODE in"),
        ("NodeName=other\nMaxNodeCount=9", "{host}", None),
        ("", "{host}", None),
    ],
)
def test_name_of_node_is_compared(
    node: Config, tmp_path: Path, lines: str, ours: str, fix: str | None
) -> None:
    host = socket.gethostname().partition(".")[0]
    record(tmp_path / "spool/jobs", "7")  # an older record, without a node
    slurm_file(node, f"{without('NodeName')}{lines.format(host=host)}\n")

    found = [
        one
        for one in problems(node._replace(node=ours.format(host=host)))
        if "token" not in one.text
    ]

    assert len(found) == (fix is not None)
    if fix is not None:
        assert fix.format(host=host) in found[0].fix


def test_record_of_prolog_decides_name(node: Config, tmp_path: Path) -> None:
    record(tmp_path / "spool/jobs", "7", node="cs2.example.org")

    (finding,) = problems(node)

    assert finding.level == "FAIL"
    assert finding.fix == "set HPCOBS_NODE=cs2.example.org in /etc/hpcobs/node.conf"


def test_strange_characters_can_be_printed(
    node: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slurm_file(node, without("TaskPlugin") + "TaskPlugin=täsk\n")
    with (tmp_path / "out").open("w", encoding="ascii") as output:
        monkeypatch.setattr("sys.stdout", output)
        assert report(node) == 0

    assert "TaskPlugin=t?sk" in (tmp_path / "out").read_text()


def test_settings_of_guide_satisfy_doctor(node: Config) -> None:
    folder = Path(node.root, "etc/slurm")
    for block in blocks(PAGE.read_text()):
        if block.file.startswith("/etc/slurm/"):
            with (folder / f"guide-{Path(block.file).name}").open("a") as conf:
                conf.write(block.text.replace("/usr/libexec/hpcobs", str(HOOKS)))
    for file in folder.glob("guide-*"):
        file.rename(folder / file.name.removeprefix("guide-"))
    gpus(node, "nvidia0", "nvidia1")
    ours = ("gpu", "Slurm", "slurm", "cgroup", "gres")

    found = [one for one in problems(node) if "GPUs cannot be read" not in one.text]

    assert [one for one in found if any(word in one.text + one.fix for word in ours)] == []


def test_good_settings_are_listed_as_ok(node: Config) -> None:
    found = levels(node)

    for name in DEMANDED:
        assert any(level == "ok" and text.startswith(f"{name}=") for level, text in found)
