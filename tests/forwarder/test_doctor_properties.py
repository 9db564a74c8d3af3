"""The doctor on arbitrary files: it never ends in an error, and misses no demanded line."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs_forwarder.daemon.config import Config
from hpcobs_forwarder.doctor import cgroup_conf, gres_conf, hooks, node_name
from hpcobs_forwarder.doctor import settings as slurm_settings
from hpcobs_forwarder.doctor.finding import Finding
from hpcobs_forwarder.node.records import Records
from tests.forwarder.doctors import (
    CGROUP_CONF,
    GRES_CONF,
    SLURM_CONF,
    config,
    controller,
    gpus,
    slurm_file,
)

__all__ = ["config", "controller"]

COMMON = ("PrologFlags", "ProctrackType", "TaskPlugin", "JobAcctGatherType")
BY_ROLE = {
    "node": (*COMMON, "GresTypes", "AccountingStorageTRES", "Prolog", "Epilog"),
    "controller": (*COMMON, "PrologSlurmctld", "EpilogSlurmctld"),
}
CGROUP = ("ConstrainRAMSpace", "ConstrainCores", "ConstrainDevices")
LINES = SLURM_CONF.splitlines()
many = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def findings(config: Config) -> list[Finding]:
    """Return the findings that depend on Slurm's files alone."""
    parts = (slurm_settings, cgroup_conf, gres_conf, hooks)
    found = [finding for part in parts for finding in part.examine(config)]
    return [*found, *node_name.examine(config, Records("/absent"))]


def name_of(line: str) -> str:
    return line.partition("=")[0].strip().lower()


@pytest.fixture
def with_gpus(config: Config) -> Config:
    gpus(config, *(f"nvidia{number}" for number in range(4)))
    slurm_file(config, GRES_CONF, "gres.conf")
    return config


disguises = st.sampled_from(
    ["{}", "  {}  ", "{} # x", "{}\r", "{}\\\n", "{}\n\n", "#{}", "x{}", "\0{}", "\\\n{}"]
)


@many
@given(
    absent=st.sampled_from(sorted({*BY_ROLE["node"], *BY_ROLE["controller"]})),
    how=st.sampled_from(["removed", "comment", "empty", "other", "continued", "prefixed", "later"]),
    disguise=st.lists(disguises, min_size=len(LINES), max_size=len(LINES)),
    order=st.randoms(use_true_random=False),
)
@pytest.mark.parametrize("role", ["node", "controller"])
def test_demanded_line_that_is_missing_is_never_ok(
    with_gpus: Config,
    role: str,
    *,
    absent: str,
    how: str,
    disguise: list[str],
    order: random.Random,
) -> None:
    config = with_gpus._replace(role=role)
    rest = [
        form.format(line) for line, form in zip(LINES, disguise) if name_of(line) != absent.lower()
    ]
    order.shuffle(rest)
    without = {
        "removed": [],
        "comment": [f"#{absent}=cgroup,gpu,contain"],
        "empty": [f"{absent}="],
        "other": [f"{absent}=/absent/other"],
        "continued": ["# \\", f"#{absent}=contain"],
        "prefixed": [f"My{absent}=task/cgroup"],
        "later": [f"{absent}=contain,task/cgroup,gpu,gres/gpu", f"{absent}=/absent/other"],
    }[how]
    slurm_file(config, "\n".join([*rest, "", *without]))

    found = findings(config)

    if absent in BY_ROLE[role]:
        named = [one for one in found if absent in one.text + one.fix and one.level != "ok"]
        assert any(f"{absent}=" in one.fix or "keep one line" in one.fix for one in named)
    assert not any(one.level == "ok" and one.text.startswith(f"{absent}=") for one in found)


@many
@given(kept=st.sets(st.sampled_from(CGROUP)), value=st.sampled_from(["yes", "YES", "1", "true"]))
def test_missing_line_of_cgroup_conf_is_never_ok(
    with_gpus: Config, kept: set[str], value: str
) -> None:
    lines = [f"{name}={value if name in kept else 'no'}" for name in CGROUP]
    slurm_file(with_gpus, "\n".join(lines), "cgroup.conf")

    found = [one for one in findings(with_gpus) if "Constrain" in one.text + one.fix]

    assert {one.text.partition("=")[0] for one in found if one.level == "ok"} == kept
    for name in set(CGROUP) - kept:
        assert any(f"write {name}=yes in " in one.fix for one in found)


WEIRD = rb"""Include slurm.conf
include /
Include *
\\
"
=
NodeName=n[0-99999999999]
NodeName=[[]
NodeHostname=
Name=gpu File=/dev/nvidia[
Epilog=[
Prolog=**/*
PrologSlurmctld=~
SlurmUser=(
"""
PIECES = [
    *(f"{line}\n".encode() for line in [*LINES, *CGROUP_CONF.splitlines(), GRES_CONF]),
    *WEIRD.splitlines(keepends=True),
    *(b"\\", b"#", b"\0", b"\xff\xfe", b"Prolog=/\xff\n"),
    b"PrologSlurmctld=" + b"a/" * 3000 + b"\n",
]
pieces = st.one_of(st.binary(max_size=40), st.sampled_from(PIECES))


@many
@given(
    files=st.dictionaries(
        st.sampled_from(["slurm.conf", "cgroup.conf", "gres.conf"]),
        st.lists(pieces, max_size=12).map(b"".join),
        min_size=1,
    ),
    role=st.sampled_from(["node", "controller"]),
)
def test_arbitrary_bytes_are_no_error(
    with_gpus: Config, files: dict[str, bytes], role: str
) -> None:
    for name, content in files.items():
        slurm_file(with_gpus, "", name).write_bytes(content)

    assert all(
        one.text and one.level in {"ok", "warn", "FAIL"}
        for one in findings(with_gpus._replace(role=role))
    )


@pytest.mark.parametrize("name", ["slurm.conf", "cgroup.conf", "gres.conf"])
@pytest.mark.parametrize("kind", ["folder", "fifo", "loop", "device", "absent", "empty"])
@pytest.mark.parametrize("role", ["node", "controller"])
def test_file_of_wrong_kind_is_reported(with_gpus: Config, name: str, kind: str, role: str) -> None:
    path = Path(slurm_file(with_gpus, "", name))
    if kind != "empty":
        path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind in {"loop", "device"}:
        path.symlink_to(path if kind == "loop" else "/dev/zero")

    levels = {finding.level for finding in findings(with_gpus._replace(role=role))}

    expected = (
        role == "node" or name == "slurm.conf" or (name == "cgroup.conf" and kind != "absent")
    )
    assert ("warn" in levels) == expected
