"""The doctor compares gres.conf and slurm.conf with the device files of this node's GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcobs_forwarder.daemon.config import Config
from tests.forwarder.doctors import (
    CGROUP_CONF,
    GRES_CONF,
    SLURM_CONF,
    config,
    gpus,
    node,
    problems,
    slurm_file,
)

__all__ = ["config", "node"]

NVIDIA = [f"nvidia{number}" for number in range(4)]
AMD = ["kfd", "dri/renderD128", "dri/renderD129"]
CONF_FILES = ("slurm.conf", "cgroup.conf", "gres.conf")


def of_files(config: Config) -> list[tuple[str, str]]:
    """Return the texts and fixes of findings that concern Slurm's files."""
    found = problems(config)
    return [(one.text, one.fix) for one in found if any(name in one.fix for name in CONF_FILES)]


@pytest.mark.parametrize(
    ("text", "devices", "problem", "fix"),
    [
        (GRES_CONF, NVIDIA, None, None),
        ("AutoDetect=nvml", NVIDIA, None, None),
        ("autodetect = NVIDIA", NVIDIA, None, None),
        ("AutoDetect=full", AMD, None, None),
        ("AutoDetect=rsmi", AMD, None, None),
        ("AutoDetect=nvml,rsmi", [*NVIDIA, *AMD], None, None),
        ("NodeName=n1 AutoDetect=nvml Name=gpu", NVIDIA, None, None),
        ("Name=gpu File=/dev/nvidia0\nName=gpu File=/dev/nvidia[1-3]", NVIDIA, None, None),
        ("Name=gpu Type=a100 MultipleFiles=/dev/nvidia[0-3]", NVIDIA, None, None),
        ("Name=gpu File=/dev/dri/renderD[128-129]", AMD, None, None),
        ("AutoDetect=off\n" + GRES_CONF, NVIDIA, None, None),
        ("NodeName=n1 AutoDetect=off\nAutoDetect=nvml\n" + GRES_CONF, NVIDIA, None, None),
        ("", NVIDIA, "describes no GPU", "AutoDetect=nvml (or Name=gpu File=/dev/nvidia[0-3])"),
        (None, NVIDIA, "cannot be read", "AutoDetect=nvml (or Name=gpu File=/dev/nvidia[0-3])"),
        ("Name=gpu Count=4", NVIDIA, "without their device files", "AutoDetect=nvml"),
        ("NodeName=n9 AutoDetect=nvml", NVIDIA, "describes no GPU", "AutoDetect=nvml"),
        ("NodeName=n9 " + GRES_CONF[16:], NVIDIA, "describes no GPU", "AutoDetect=nvml"),
        ("Name=mps File=/dev/nvidia[0-3]", NVIDIA, "describes no GPU", "AutoDetect=nvml"),
        ("AutoDetect=rsmi", NVIDIA, "AutoDetect=rsmi finds no nvidia GPU", "AutoDetect=nvml"),
        ("AutoDetect=nvml", AMD, "AutoDetect=nvml finds no amd GPU", "AutoDetect=rsmi"),
        (
            "Name=gpu File=/dev/nvidia[1-3]",
            NVIDIA,
            "leaves out /dev/nvidia0",
            "Name=gpu File=/dev/nvidia[0-3]",
        ),
        (
            "Name=gpu File=/dev/nvidia[0-3]",
            NVIDIA[:2],
            "names /dev/nvidia2, /dev/nvidia3, which this node does not have",
            "Name=gpu File=/dev/nvidia[0-1]",
        ),
        (
            "Name=gpu File=/dev/nvidia0",
            ["nvidia0", "nvidia2"],
            "leaves out /dev/nvidia2",
            "Name=gpu File=/dev/nvidia[0,2]",
        ),
        ("", ["nvidia0"], "describes no GPU", "Name=gpu File=/dev/nvidia0)"),
        ("Name=gpu File=/dev/r[0-1]n[0-1]", NVIDIA, "cannot be parsed", "AutoDetect=nvml"),
        ("NodeName=r[1-2]n[1-4] Name=gpu", NVIDIA, "cannot be parsed", "AutoDetect=nvml"),
    ],
)
def test_gres_conf_is_compared_with_devices(
    node: Config, text: str | None, devices: list[str], problem: str | None, fix: str | None
) -> None:
    gpus(node, *devices)
    path = slurm_file(node, text or "", "gres.conf")
    if text is None:
        path.unlink()

    found = of_files(node)

    assert len(found) == (problem is not None)
    if problem is not None and fix is not None:
        assert problem in found[0][0]
        assert fix in found[0][1]
        assert f"in {path}, then restart every slurmd" in found[0][1]


@pytest.mark.parametrize(
    ("name", "line", "fix"),
    [
        ("GresTypes", "", "GresTypes=gpu"),
        ("GresTypes", "GresTypes=mps", "GresTypes=mps,gpu"),
        ("AccountingStorageTRES", "", "AccountingStorageTRES=gres/gpu"),
        ("AccountingStorageTRES", "AccountingStorageTRES=bb", "AccountingStorageTRES=bb,gres/gpu"),
        ("GresTypes", "GresTypes=gpu,mps", None),
        ("AccountingStorageTRES", "AccountingStorageTRES=gres/gpu:a100", None),
    ],
)
def test_settings_for_gpus_are_demanded(
    node: Config, name: str, line: str, fix: str | None
) -> None:
    gpus(node, *NVIDIA)
    slurm_file(node, GRES_CONF, "gres.conf")
    kept = [one for one in SLURM_CONF.splitlines() if not one.startswith(f"{name}=")]
    slurm_file(node, "\n".join([*kept, line]))

    found = of_files(node)

    assert [one.partition(" in ")[0] for _, one in found] == ([f"write {fix}"] if fix else [])


def test_devices_are_constrained_where_gpus_are(node: Config) -> None:
    gpus(node, *NVIDIA)
    slurm_file(node, GRES_CONF, "gres.conf")
    slurm_file(node, CGROUP_CONF.replace("ConstrainDevices=yes", ""), "cgroup.conf")

    ((text, fix),) = of_files(node)

    assert "sets no ConstrainDevices" in text
    assert fix.startswith("write ConstrainDevices=yes in ")


def test_node_without_gpus_needs_no_gres_conf(node: Config) -> None:
    # By name, since the path of the hooks may contain "gpu".
    of_gpus = ("GresTypes=", "AccountingStorageTRES=")
    kept = [one for one in SLURM_CONF.splitlines() if not one.startswith(of_gpus)]
    slurm_file(node, "\n".join(kept))
    slurm_file(node, "ConstrainRAMSpace=yes\nConstrainCores=yes\n", "cgroup.conf")

    assert problems(node) == []
    gpus(node, *NVIDIA)
    assert Path(node.root, "dev/nvidia0").exists()
    assert len(of_files(node._replace(gpus="none"))) == 1, "ConstrainDevices alone"
