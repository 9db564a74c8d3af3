"""AMD GPUs, by a stand-in for amdsmi and by recorded output of rocm-smi."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.node.gpus.amd import AmdGpus
from hpcobs_forwarder.node.gpus.readings import GpuError
from hpcobs_forwarder.node.gpus.rocm_smi import RocmSmi, parse

if TYPE_CHECKING:
    from pathlib import Path


class AmdSmiError(Exception):
    pass


class AmdSmiLibraryError(AmdSmiError):
    pass


class FakeAmdSmi:
    AmdSmiException = AmdSmiError
    AmdSmiLibraryException = AmdSmiLibraryError
    AmdSmiTemperatureType = SimpleNamespace(EDGE="edge", HOTSPOT="hotspot")
    AmdSmiTemperatureMetric = SimpleNamespace(CURRENT="current")

    def __init__(self, *devices: dict[str, Any]) -> None:
        self.devices = devices

    def amdsmi_init(self) -> None:
        pass

    def amdsmi_get_processor_handles(self) -> tuple[dict[str, Any], ...]:
        return self.devices

    def amdsmi_get_temp_metric(self, device: dict[str, Any], sensor: str, metric: str) -> Any:
        assert metric == "current"
        return self._field(device, sensor)

    def _field(self, device: dict[str, Any], name: str) -> Any:
        if name not in device:
            raise AmdSmiLibraryError(name)
        return device[name]

    def __getattr__(self, name: str) -> Any:
        field = name.replace("amdsmi_get_", "")
        return lambda device: self._field(device, field)


def reader(*devices: dict[str, Any]) -> AmdGpus:
    module: Any = FakeAmdSmi(*devices)
    return AmdGpus(lambda: module)


def test_all_fields_of_gpu_are_read() -> None:
    (gpu,) = reader(
        {
            "gpu_activity": {"gfx_activity": 42, "umc_activity": 3},
            "gpu_vram_usage": {"vram_used": 1024, "vram_total": 65_536},
            "power_info": {"current_socket_power": "N/A", "average_socket_power": 250},
            "edge": 55,
            "gpu_device_uuid": "e1ff",
            "gpu_process_list": [{"pid": 7, "name": "a"}],
        }
    ).read()

    assert (gpu.gpu_id, gpu.gpu_vendor, gpu.utilization_percent) == ("0", "amd", 42)
    assert (gpu.memory_used_mb, gpu.memory_total_mb) == (1024, 65_536)
    assert (gpu.power_watts, gpu.temperature_celsius) == (250, 55)
    assert gpu.names == {"0", "e1ff", "GPU-e1ff"}
    assert gpu.processes == (7,)


def test_blank_fields_give_none() -> None:
    (gpu,) = reader({"gpu_activity": {"gfx_activity": "N/A"}, "edge": "N/A", "hotspot": 71}).read()

    assert gpu.utilization_percent is gpu.memory_used_mb is gpu.power_watts is None
    assert gpu.temperature_celsius == 71


def test_placeholders_of_older_versions_give_none() -> None:
    (gpu,) = reader(
        {
            "gpu_activity": {"gfx_activity": 0xFFFF},
            "power_info": {"current_socket_power": 0xFFFF, "average_socket_power": 300},
            "edge": 0xFFFFFFFF,
            "hotspot": 0xFFFF,
        }
    ).read()

    assert gpu.utilization_percent is gpu.temperature_celsius is None
    assert gpu.power_watts == 300


def test_missing_library_names_package_to_install() -> None:
    def missing() -> Any:
        raise ImportError("No module named 'amdsmi'")

    assert "install amdsmi" in str(AmdGpus(missing).missing())


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
    first, second = parse(json.dumps(ROCM_SMI).encode())

    assert (first.gpu_id, first.utilization_percent, first.power_watts) == ("0", 12, 90)
    assert (first.memory_used_mb, first.memory_total_mb) == (3 << 10, 64 << 10)
    assert first.temperature_celsius == 33
    assert second.utilization_percent is second.power_watts is second.memory_used_mb is None


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
