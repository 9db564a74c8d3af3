"""The whole way from Slurm's Prolog to the batch, where Slurm, NVML and device files disagree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hpcobs.wire.batches import decode_batch
from tests.forwarder.conftest import SOURCE
from tests.forwarder.hooks import Cluster, recorded
from tests.forwarder.trees import V2Job, host, write
from tests.waiting import WAIT_SECONDS

NVML = Path(__file__).parent / "fixtures/nvml"

UUID = "GPU-00000000-1111-2222-3333-444444444444"
"""Of the first GPU in NVML's order."""


class Hardware(NamedTuple):
    """Device files' numbers in NVML's order, and the place of the GPU that works."""

    minors: str
    busy: int
    utilization: int = 97


class GpuNode:
    """A node with one job, which Slurm gave the GPUs in ``slurm``."""

    def __init__(self, root: Path, hardware: Hardware, **slurm: str) -> None:
        self.root = root
        self._hardware = hardware
        host(root)
        V2Job(root, "job_19")
        cluster = Cluster(root)
        none = dict.fromkeys(["CUDA_VISIBLE_DEVICES", "SLURM_CONF"], "")
        others = dict.fromkeys(["ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"], "")
        cluster.run("Prolog", {**recorded("Prolog", "19"), **none, **others, **slurm})
        cluster.settle()
        self.event = cluster.event()

    def sample(self) -> dict[str, Any]:
        body = self._run("--dry-run")
        decoded = decode_batch(body.encode())
        assert not decoded.rejected
        (sample,) = json.loads(body)["samples"]
        return dict(sample)

    def gpu(self) -> dict[str, Any]:
        (gpu,) = self.sample()["gpus"]
        return dict(gpu)

    def doctor(self) -> str:
        return self._run("doctor", check=False)

    def _run(self, *arguments: str, check: bool = True) -> str:
        environment = {
            "PATH": f"{self.root}/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{NVML}:{SOURCE}",
            "NVML_MINORS": self._hardware.minors,
            "NVML_BUSY": str(self._hardware.busy),
            "NVML_UTILIZATION": str(self._hardware.utilization),
            "HPCOBS_GPUS": "nvidia",
            "HPCOBS_NODE": "n1",
            "HPCOBS_SPOOL_DIR": f"{self.root}/spool",
            "HPCOBS_FALLBACK_DIR": f"{self.root}/fallback",
        }
        options = ["--config", "/dev/null", "--sysfs-root", str(self.root)]
        return subprocess.run(
            [sys.executable, "-m", "hpcobs_forwarder", *arguments, *options],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=WAIT_SECONDS,
            check=check,
        ).stdout


BOARD = Hardware("2,3,0,1", busy=0)
"""NVML's order is not that of the device files, as on an A100 board behind two CPUs."""

IN_ORDER = Hardware("0,1,2,3", busy=1)


def test_uuid_from_prolog_finds_its_gpu(tmp_path: Path) -> None:
    node = GpuNode(tmp_path, BOARD, SLURM_JOB_GPUS="0", CUDA_VISIBLE_DEVICES=UUID)

    gpu = node.gpu()

    assert (gpu["gpu_id"], gpu["utilization_percent"], gpu["power_watts"]) == ("2", 97, 390)
    assert node.event["gpu_devices"] == [UUID]
    assert (node.event["gpu_allocation"], "shared" in gpu) == (1, False)


def test_index_in_doubt_is_no_reading(tmp_path: Path) -> None:
    node = GpuNode(tmp_path, BOARD, SLURM_JOB_GPUS="0", CUDA_VISIBLE_DEVICES="0")

    assert "gpus" not in node.sample()
    output = node.doctor()
    assert "job_19: GPUs found: none; not found: 1 of Slurm's GPUs 0" in output
    assert "AutoDetect=nvml" in output


def test_gpu_left_out_of_gres_conf_shifts_indexes(tmp_path: Path) -> None:
    write(tmp_path / "etc/slurm/gres.conf", "Name=gpu File=/dev/nvidia[1-3]\n")
    node = GpuNode(tmp_path, IN_ORDER, SLURM_JOB_GPUS="0", CUDA_VISIBLE_DEVICES="0")

    gpu = node.gpu()

    assert (gpu["gpu_id"], gpu["utilization_percent"]) == ("1", 97)


@pytest.mark.parametrize("shown_by", ["SLURM_CONF", "PATH"])
def test_slurmds_own_list_decides(tmp_path: Path, shown_by: str) -> None:
    folder = "bin" if shown_by == "PATH" else "opt/sbin"
    command = tmp_path / folder / "slurmd"
    write(command, f'#!/bin/sh\n[ "$1" = -G ] && cat {tmp_path}/list >&2\n')
    command.chmod(0o755)
    conf = "" if shown_by == "PATH" else f"{tmp_path}/opt/etc/slurm.conf"
    line = "slurmd: Gres Name=gpu Type=(null) Count=1 Index={0} ID=7696487 File=/dev/nvidia{0} x\n"
    write(tmp_path / "list", "".join(line.format(minor) for minor in (3, 1, 2)))
    slurm = {"SLURM_JOB_GPUS": "1", "CUDA_VISIBLE_DEVICES": "1", "SLURM_CONF": conf}

    assert GpuNode(tmp_path, IN_ORDER, **slurm).gpu()["gpu_id"] == "1"


def test_utilization_over_100_costs_only_itself(tmp_path: Path) -> None:
    wrong = Hardware("0,1,2,3", busy=0, utilization=686_103)

    gpu = GpuNode(tmp_path, wrong, SLURM_JOB_GPUS="0").gpu()

    assert "utilization_percent" not in gpu
    assert (gpu["power_watts"], gpu["memory_used_mb"]) == (390, 70 << 10)


def test_many_uuids_are_recorded_whole(tmp_path: Path) -> None:
    uuids = [f"GPU-0000000{place}-1111-2222-3333-444444444444" for place in range(8)]
    node = GpuNode(
        tmp_path,
        Hardware("7,6,5,4,3,2,1,0", busy=7),
        SLURM_JOB_GPUS="0,1,2,3,4,5,6,7",
        CUDA_VISIBLE_DEVICES=",".join(uuids),
    )

    sample = node.sample()

    assert [gpu["gpu_id"] for gpu in sample["gpus"]] == list("76543210")
    assert sample["gpu_usage"] == round(97 / 8, 2)


def test_slurm_20_numbers_device_files(tmp_path: Path) -> None:
    slurm = {"SLURM_JOB_GPUS": "", "CUDA_VISIBLE_DEVICES": "2"}
    node = GpuNode(tmp_path, BOARD, **slurm)

    assert node.gpu()["utilization_percent"] == 97
    assert node.event["gpu_devices"] == ["2"]


def test_doctor_names_the_jobs_gpus(tmp_path: Path) -> None:
    output = GpuNode(tmp_path, BOARD, SLURM_JOB_GPUS="0", CUDA_VISIBLE_DEVICES=UUID).doctor()

    assert "nvidia GPUs: 2, 3, 0, 1" in output
    assert "job_19 has the GPUs 2" in output
