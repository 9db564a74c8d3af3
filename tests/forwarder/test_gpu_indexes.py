"""Slurm's indexes of GPUs: they count only where the order of the devices is certain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.records import JobRecord
from tests.forwarder.test_gpu_mapping import (
    GPUS,
    MIXED_ORDER,
    found,
    gpu,
    gres,
    ids,
    mig,
    render,
)
from tests.forwarder.trees import V2Job

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.node.gpus.readings import GpuReading


def test_bare_index_counts_in_agreed_order(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")

    assert ids(found(tmp_path, JobRecord("7", gpus=("1", "3")), GPUS)) == ["1", "3"]


@pytest.mark.parametrize(
    ("gpus", "is_partial"),
    [
        (MIXED_ORDER, False),  # NVML's order is not that of the device files
        ([gpu(1)._replace(position=0), gpu(2)._replace(position=1)], False),  # a gap
        ([gpu(0), gpu(1)._replace(minor=None)], False),
        ([gpu(0), gpu(1), mig("MIG-a", 2)], False),
        ([gpu(0), gpu(1), render(128, 0)], False),
        ([gpu(0), gpu(1)], True),
        ([gpu(1)._replace(position=0)], True),
    ],
)
def test_bare_index_in_doubt_gives_no_gpu(
    tmp_path: Path, gpus: list[GpuReading], *, is_partial: bool
) -> None:
    V2Job(tmp_path, "job_7")

    allocation = found(tmp_path, JobRecord("7", gpus=("1",)), gpus, is_partial=is_partial)

    assert allocation.gpus == []
    assert "not certain" in allocation.unknown[0]


def test_contradicting_variables_give_no_gpu(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")
    other = JobRecord("7", gpus=("1",), visible_gpus=("0",))
    fewer = JobRecord("7", gpus=("1", "2"), visible_gpus=("1",))

    assert [found(tmp_path, one, GPUS).gpus for one in (other, fewer)] == [[], []]
    assert len(found(tmp_path, fewer, GPUS).unknown) == 2


def test_all_gpus_of_node_need_no_order(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")
    record = JobRecord("7", gpus=("0", "1", "2", "3"), slurm_conf="/opt/none/slurm.conf")

    assert len(found(tmp_path, record, MIXED_ORDER).gpus) == 4


def test_configuration_that_cannot_be_read_gives_no_gpu(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")
    record = JobRecord("7", gpus=("1",), slurm_conf="/opt/none/slurm.conf")

    assert found(tmp_path, record, GPUS).gpus == []


@pytest.mark.parametrize(
    ("text", "gpus", "index", "expected"),
    [
        ("Name=gpu File=/dev/nvidia[1-3]", GPUS, "0", ["1"]),
        ("Name=gpu File=/dev/nvidia[1-3]", MIXED_ORDER, "2", ["3"]),
        ("Name=gpu File=/dev/nvidia3\nName=gpu File=/dev/nvidia[0,2]", GPUS, "1", ["0"]),
        ("Name=gpu File=/dev/nvidia[0-1]", GPUS, "2", []),
        ("Name=gpu File=/dev/nvidia[0-4]", GPUS, "4", []),
        ("AutoDetect=nvml", GPUS, "2", ["2"]),
        ("AutoDetect=nvml", MIXED_ORDER, "2", []),
        ("AutoDetect=nvml\nName=gpu File=/dev/nvidia[2-3]", GPUS, "1", ["3"]),
        ("AutoDetect=nvml\nName=gpu File=/dev/nvidia[2-9]", GPUS, "1", []),
        ("AutoDetect=nvml", [gpu(0)._replace(memory_total_mb=4), *GPUS[1:]], "1", []),
        ("Name=gpu Type=a File=/dev/nvidia0\nName=gpu Type=b File=/dev/nvidia1", GPUS, "0", []),
        ("NodeName=n2 Name=gpu File=/dev/nvidia[0-3]", GPUS, "0", []),
        ("Include other.conf", GPUS, "0", []),
    ],
)
def test_index_is_place_in_gres_conf(
    tmp_path: Path, text: str, gpus: list[GpuReading], index: str, expected: list[str]
) -> None:
    V2Job(tmp_path, "job_7")
    gres(tmp_path, text)

    allocation = found(tmp_path, JobRecord("7", node="n1", gpus=(index,)), gpus)

    assert ids(allocation) == expected
    assert len(allocation.unknown) == 1 - len(expected)


@pytest.mark.parametrize(
    ("gpus", "record", "expected"),
    [
        ([render(128, 0), render(129, 1)], JobRecord("7", gpus=("1",)), ["1"]),
        ([render(129, 0), render(128, 1)], JobRecord("7", gpus=("1",)), []),
        ([render(129, 0), render(128, 1)], JobRecord("7", gpus=("129",)), ["0"]),
        ([render(129, 0)], JobRecord("7", gpus=("129",), visible_gpus=("0",)), ["0"]),
        ([render(129, 0), render(128, 1)], JobRecord("7", visible_gpus=("128",)), ["1"]),
        ([gpu(0), render(128, 0)], JobRecord("7", visible_gpus=("128",)), ["0"]),
    ],
)
def test_amd_gpus_are_numbered_from_128(
    tmp_path: Path, gpus: list[GpuReading], record: JobRecord, expected: list[str]
) -> None:
    V2Job(tmp_path, "job_7")

    assert ids(found(tmp_path, record, gpus)) == expected


def test_amd_index_follows_gres_conf(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")
    gres(tmp_path, "Name=gpu File=/dev/dri/renderD[129-130]")
    gpus = [render(130, 0), render(128, 1), render(129, 2)]

    allocation = found(tmp_path, JobRecord("7", gpus=("0",)), gpus)

    assert [one.minor for one in allocation.gpus] == [129]


def test_gpu_that_forwarder_cannot_see_is_not_replaced(tmp_path: Path) -> None:
    V2Job(tmp_path, "job_7")
    gres(tmp_path, "Name=gpu File=/dev/nvidia[0-3]")

    # As in a container that has the device file of one GPU only.
    assert found(tmp_path, JobRecord("7", node="n1", gpus=("0",)), [gpu(3)]).gpus == []
