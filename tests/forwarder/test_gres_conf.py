"""Slurm's order of the GPUs: the output of slurmd, and gres.conf."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs_forwarder.doctor.gres_conf import _of_node
from hpcobs_forwarder.node.gpus.gres_conf import (
    GpuOrder,
    GresError,
    configured_order,
    listed_order,
)
from hpcobs_forwarder.node.gpus.slurm_order import SlurmGpus
from hpcobs_forwarder.node.records import JobRecord
from hpcobs_forwarder.slurm_conf import parsed
from tests.forwarder.properties import patient
from tests.forwarder.trees import write

if TYPE_CHECKING:
    from pathlib import Path

# Recorded from slurmd -G of Slurm 22.05. gres.conf named the Type b first, and slurm.conf has
# Gres=gpu:a:1,gpu:b:2.
TYPES = """\
slurmd-vm: Gres Name=gpu Type=a Count=1 Index=0 ID=7696487 File=/dev/nvidia0 (null)
slurmd-vm: Gres Name=gpu Type=b Count=1 Index=2 ID=7696487 File=/dev/nvidia2 (null)
slurmd-vm: Gres Name=gpu Type=b Count=1 Index=3 ID=7696487 File=/dev/nvidia3 (null)
"""
# The same version, with gres.conf's File=/dev/nvidia[1-2] and shards of one GPU.
SHARDS = """\
slurmd-vm: Gres Name=shard Type=(null) Count=0 Index=1 ID=1918986455 File=/dev/nvidia1 (null)
slurmd-vm: Gres Name=gpu Type=(null) Count=1 Index=1 ID=7696487 File=/dev/nvidia1 (null)
slurmd-vm: Gres Name=shard Type=(null) Count=4 Index=2 ID=1918986455 File=/dev/nvidia2 (null)
slurmd-vm: Gres Name=gpu Type=(null) Count=1 Index=2 ID=7696487 File=/dev/nvidia2 (null)
"""
# As published for Slurm 21.08 to 24.05: AutoDetect=nvml with NVLinks, MIG, and AMD GPUs.
PUBLISHED = """\
[2026-10-09T06:49:39.018] _read_slurm_cgroup_conf: No cgroup.conf file, using defaults
slurmd: gpu/nvml: _get_system_gpu_list_nvml: 3 GPU system device(s) detected
slurmd: Gres Name=gpu Type=nvidia_a100 Count=1 Index=2 ID=7696487 File=/dev/nvidia2 Cores=0-63 \
CoreCnt=128 Links=-1,4,0 Flags=HAS_FILE,HAS_TYPE,ENV_NVML
slurmd: Gres Name=gpu Type=nvidia_a100_1g.10gb Count=1 Index=31 ID=7696487 \
File=/dev/nvidia0,/dev/nvidia-caps/nvidia-cap30,/dev/nvidia-caps/nvidia-cap31 Links=(null) \
Flags=HAS_FILE,HAS_TYPE,ENV_NVML,MIG
slurmd: Gres Name=gpu Type=0x1002 Count=2 Index=129 ID=7696487 File=/dev/dri/renderD[128-129] \
Links=-1 Flags=HAS_FILE,HAS_TYPE,ENV_RSMI
slurmd: Gres Name=bandwidth Type=lustre Count=4294967296 ID=3033812246 Links=(null) Flags=CountOnly
"""


def names(order: GpuOrder | None) -> list[list[str]]:
    return [] if order is None else [sorted(device) for device in order.devices]


def test_place_in_slurmds_list_is_the_index() -> None:
    assert names(listed_order(TYPES)) == [["/dev/nvidia0"], ["/dev/nvidia2"], ["/dev/nvidia3"]]
    assert names(listed_order(SHARDS)) == [["/dev/nvidia1"], ["/dev/nvidia2"]]


def test_published_lists_are_read() -> None:
    assert names(listed_order(PUBLISHED)) == [
        ["/dev/nvidia2"],
        ["/dev/nvidia-caps/nvidia-cap30", "/dev/nvidia-caps/nvidia-cap31", "/dev/nvidia0"],
        ["/dev/dri/renderD128"],
        ["/dev/dri/renderD129"],
    ]


@pytest.mark.parametrize("output", ["", "slurmd: fatal: no", "Gres Name=gpu Count=2", "\x00"])
def test_output_without_gpus_gives_no_order(output: str) -> None:
    assert listed_order(output) is None


def test_count_that_contradicts_files_is_an_error() -> None:
    with pytest.raises(GresError):
        listed_order("Gres Name=gpu Type=a Count=3 ID=1 File=/dev/nvidia[0-1] (null)")


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("Name=gpu File=/dev/nvidia[0-1]", [["/dev/nvidia0"], ["/dev/nvidia1"]]),
        ("NAME=GPU file=/dev/nvidia1,/dev/nvidia0", [["/dev/nvidia1"], ["/dev/nvidia0"]]),
        ("Name=gpu File=/dev/nvidia2 # Name=gpu File=/dev/nvidia0", [["/dev/nvidia2"]]),
        ("Name=gpu \\\n File=/dev/nvidia2\n\n# File=x", [["/dev/nvidia2"]]),
        ("Name=shard Count=8 File=/dev/nvidia9\nName=gpu File=/dev/nvidia2", [["/dev/nvidia2"]]),
        ("NodeName=n[1-3] Name=gpu Type=a File=/dev/nvidia2", [["/dev/nvidia2"]]),
        ("NodeName=n2 Name=gpu File=/dev/a1\nNodeName=n1 Name=gpu File=/dev/a2", [["/dev/a2"]]),
        (
            "AutoDetect=nvml\nNodeName=n1 AutoDetect=off Name=gpu File=/dev/nvidia2",
            [["/dev/nvidia2"]],
        ),
        ("Name=gpu MultipleFiles=/dev/a,/dev/c[1-2]", [["/dev/a", "/dev/c1", "/dev/c2"]]),
        ("Name=gpu File=/dev/renderD[128-129]", [["/dev/renderD128"], ["/dev/renderD129"]]),
        ('Name = gpu File = "/dev/nvidia2"', [["/dev/nvidia2"]]),
        ("Name=gpu File=/dev/nvidia2\\#", [["/dev/nvidia2#"]]),
        ("Name=gpu File=/dev/nvidia2\0 Links=1", [["/dev/nvidia2"]]),
    ],
)
def test_files_in_gres_conf_keep_their_order(text: str, devices: list[list[str]]) -> None:
    order = configured_order(text, "n1")

    assert names(order) == devices
    assert not order.is_detected


@pytest.mark.parametrize(
    "text",
    [
        "AutoDetect=nvml",
        "NodeName=n1 AutoDetect=rsmi",
        "AutoDetect=off\nNodeName=n[1-2] AutoDetect=nvml",
    ],
)
def test_detected_order_is_marked(text: str) -> None:
    assert configured_order(text, "n1") == GpuOrder((), is_detected=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Name=gpu Count=4",
        "Name=gpu File=/dev/nvidia[0-3] Count=2",
        "Name=gpu File=/dev/nvidia[0-3]\nName=gpu File=/dev/nvidia1",
        "Name=gpu Type=a File=/dev/nvidia0\nName=gpu Type=b File=/dev/nvidia1",
        "Name=gpu File=/dev/nvidia0 Links=0,-1",
        "NodeName=n2 Name=gpu File=/dev/nvidia0",
        "NodeName=r[1-2]n[1-4] Name=gpu File=/dev/nvidia0",
        "Name=gpu File=/dev/nvidia0\nInclude more.conf",
        "Name=gpu File=/dev/nvidia[0-999999999999]",
        "NodeName=n[0-999999999999] Name=gpu File=/dev/nvidia0",
    ],
)
def test_unclear_gres_conf_gives_no_order(text: str) -> None:
    with pytest.raises(GresError):
        configured_order(text, "n1")


LINES = [
    "AutoDetect=nvml",
    "autodetect = OFF",
    "NodeName=n1 AutoDetect=off",
    "NodeName=n[1-2] AutoDetect=rsmi,nvml",
    "NodeName=n2 AutoDetect=nvml",
    "Name=gpu File=/dev/nvidia[0-1]",
    "Name=gpu File = /dev/nvidia2 # File=/dev/nvidia9",
    "NodeName=n2 Name=gpu File=/dev/nvidia8",
    "Name=shard Count=8 File=/dev/nvidia7",
    "NodeName=n1 Name=GPU MultipleFiles=/dev/nvidia3",
]


@patient
@given(st.lists(st.sampled_from(LINES), max_size=5, unique=True))
def test_doctor_and_node_read_gres_conf_alike(lines: list[str]) -> None:
    text = "\n".join(lines)
    seen = _of_node(parsed(text), "n1")
    try:
        order = configured_order(text, "n1")
    except GresError:
        assert not seen.named
        return

    assert order.is_detected == bool(seen.detectors)
    assert sorted(file for device in order.devices for file in device) == sorted(seen.files)


def slurmd(root: Path, script: str) -> str:
    command = root / "slurmd"
    command.write_text(f"#!/bin/sh\necho run >>{root}/runs\n{script}\n")
    command.chmod(0o755)
    return str(command)


RECORD = JobRecord("7", node="n1", slurm_conf="/opt/slurm/slurm.conf")


def test_slurmd_runs_once_and_has_precedence(tmp_path: Path) -> None:
    write(tmp_path / "opt/slurm/gres.conf", "Name=gpu File=/dev/nvidia0")
    write(tmp_path / "opt/slurm/slurm.conf", "")
    checks = (
        f'[ "$*" = "-G -N n1" ] && [ "$SLURM_CONF" = {tmp_path}/opt/slurm/slurm.conf ] || exit 1'
    )
    gpus = SlurmGpus(str(tmp_path), slurmd(tmp_path, f"{checks}; cat >&2 <<E\n{TYPES}E"))

    orders = [names(gpus.of_record(RECORD).order) for _ in range(3)]

    assert orders == [[["/dev/nvidia0"], ["/dev/nvidia2"], ["/dev/nvidia3"]]] * 3
    assert (tmp_path / "runs").read_text() == "run\n"


@pytest.mark.parametrize("script", ["exit 1", "echo nothing", "kill -9 $$"])
def test_failing_slurmd_leaves_gres_conf(tmp_path: Path, script: str) -> None:
    write(tmp_path / "opt/slurm/gres.conf", "Name=gpu File=/dev/nvidia5")
    gpus = SlurmGpus(str(tmp_path), slurmd(tmp_path, script))

    assert names(gpus.of_record(RECORD).order) == [["/dev/nvidia5"]]


def test_changed_gres_conf_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "opt/slurm/gres.conf", "Name=gpu File=/dev/nvidia5")
    gpus = SlurmGpus(str(tmp_path), "")
    before = names(gpus.of_record(RECORD).order)
    (tmp_path / "opt/slurm/gres.conf").rename(tmp_path / "old")
    write(tmp_path / "opt/slurm/gres.conf", "Name=gpu File=/dev/nvidia6")

    assert before == [["/dev/nvidia5"]]
    assert names(gpus.of_record(RECORD).order) == [["/dev/nvidia6"]]


def test_missing_configuration_names_its_causes(tmp_path: Path) -> None:
    known = SlurmGpus(str(tmp_path), "").of_record(RECORD)

    assert known.order is None
    assert known.is_found
    assert known.source == "slurmd was not found, and there is no gres.conf"
    assert not SlurmGpus(str(tmp_path), "").of_record(JobRecord("7")).is_found
