"""AMD GPUs, by recorded output of rocm-smi."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.node.gpus.drm import Drm
from hpcobs_forwarder.node.gpus.readings import GpuError
from hpcobs_forwarder.node.gpus.rocm_smi import RocmSmi, parse

if TYPE_CHECKING:
    from pathlib import Path

ROCM_SMI = {
    "card0": {
        "Unique ID": "0x18f1",
        "GPU use (%)": "12",
        "VRAM Total Memory (B)": str(64 << 30),
        "VRAM Total Used Memory (B)": str(3 << 30),
        "Average Graphics Package Power (W)": "90.0",
        "Temperature (Sensor edge) (C)": "33.0",
    },
    "card1": {"GPU use (%)": "", "Current Socket Graphics Package Power (W)": "N/A"},
    "system": {"Driver version": "6.7.0"},
}


def test_rocm_smi_output_is_parsed() -> None:
    (first, second), unread = parse(json.dumps(ROCM_SMI).encode(), Drm(""))

    assert (first.gpu_id, first.utilization_percent, first.power_watts) == ("0", 12, 90)
    assert (first.memory_used_mb, first.memory_total_mb) == (3 << 10, 64 << 10)
    assert first.temperature_celsius == 33
    assert first.names == {"0x18f1", "GPU-18f1"}
    assert second.utilization_percent is second.power_watts is second.memory_used_mb is None
    assert unread == []


def test_rocm_smi_runs_every_few_passes(tmp_path: Path) -> None:
    command = tmp_path / "rocm-smi"
    command.write_text(f"#!/bin/sh\necho run >>{tmp_path}/runs\necho '{json.dumps(ROCM_SMI)}'\n")
    command.chmod(0o755)
    gpus = RocmSmi(str(command), every=3)

    counts = [len(gpus.read()) for _ in range(6)]

    assert counts == [2, 0, 0, 2, 0, 0]


@pytest.mark.parametrize("script", ["exit 1", "echo no json", "echo '[1]'"])
def test_failing_rocm_smi_raises_gpuerror(tmp_path: Path, script: str) -> None:
    command = tmp_path / "rocm-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)

    with pytest.raises(GpuError, match="rocm-smi"):
        RocmSmi(str(command), every=1).read()


def test_bad_values_of_rocm_smi_cost_only_themselves() -> None:
    card = {
        **ROCM_SMI["card0"],
        "GPU use (%)": "686103",
        "Average Graphics Package Power (W)": "[N/A]",
        "Temperature (Sensor edge) (C)": "Infinity",
        "Temperature (Sensor junction) (C)": "41.0c",
    }

    (gpu,), unread = parse(json.dumps({"card0": card, "card1": "N/A"}).encode(), Drm(""))

    assert gpu.utilization_percent is gpu.power_watts is None
    assert (gpu.temperature_celsius, gpu.memory_used_mb) == (41, 3 << 10)
    assert [text.split(": ")[1] for text in unread] == [
        "utilization_percent",
        "temperature_celsius",
    ]
