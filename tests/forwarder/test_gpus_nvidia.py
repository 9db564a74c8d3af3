"""NVIDIA GPUs, by a stand-in for NVML: the library needs the hardware."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.node.gpus.nvidia import NvidiaGpus
from hpcobs_forwarder.node.gpus.readings import GpuError

if TYPE_CHECKING:
    from types import ModuleType


class NvmlError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


class FakeNvml:
    """The functions of ``pynvml`` that are used, over plain dictionaries."""

    NVMLError = NvmlError
    NVML_DEVICE_MIG_ENABLE = 1
    NVML_TEMPERATURE_GPU = 0
    NVML_ERROR_INVALID_ARGUMENT = 2
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_NOT_FOUND = 6
    NVML_ERROR_FUNCTION_NOT_FOUND = 13
    NVML_ERROR_UNKNOWN = 999

    def __init__(self, *devices: dict[str, Any]) -> None:
        self.devices = devices
        self.started = 0

    def nvmlInit(self) -> None:
        self.started += 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        return self.devices[index]

    def nvmlDeviceGetMaxMigDeviceCount(self, device: dict[str, Any]) -> int:
        return len(device["mig"])

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: dict[str, Any], slot: int) -> Any:
        if device["mig"][slot] is None:
            raise NvmlError(self.NVML_ERROR_NOT_FOUND)
        return device["mig"][slot]

    def nvmlDeviceGetTemperature(self, device: dict[str, Any], sensor: int) -> Any:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._field(device, "celsius")

    def _field(self, device: dict[str, Any], name: str) -> Any:
        answer = device.get(name, self.NVML_ERROR_NOT_SUPPORTED)
        if isinstance(answer, NvmlError):
            raise answer
        if name not in device:
            raise NvmlError(answer)
        return answer

    def __getattr__(self, name: str) -> Any:
        fields = {
            "nvmlDeviceGetMigMode": "mig_mode",
            "nvmlDeviceGetMinorNumber": "minor",
            "nvmlDeviceGetUtilizationRates": "rates",
            "nvmlDeviceGetPowerUsage": "milliwatts",
            "nvmlDeviceGetMemoryInfo": "memory",
            "nvmlDeviceGetComputeRunningProcesses": "processes",
            "nvmlDeviceGetUUID": "uuid",
        }
        return lambda device: self._field(device, fields[name])


def reader(nvml: FakeNvml) -> NvidiaGpus:
    module: Any = nvml
    return NvidiaGpus(lambda: module)


WHOLE = {
    "uuid": b"GPU-1111",
    "minor": 3,
    "mig_mode": (0, 0),
    "rates": SimpleNamespace(gpu=87, memory=40),
    "memory": SimpleNamespace(used=5 << 30, total=80 << 30),
    "milliwatts": 312_500,
    "celsius": 61,
    "processes": [SimpleNamespace(pid=4242)],
}


def test_all_fields_of_gpu_are_read() -> None:
    (gpu,) = reader(FakeNvml(WHOLE)).read()

    assert (gpu.gpu_id, gpu.gpu_vendor, gpu.minor) == ("3", "nvidia", 3)
    assert gpu.names == {"3", "GPU-1111"}
    assert (gpu.utilization_percent, gpu.power_watts, gpu.temperature_celsius) == (87, 312.5, 61)
    assert (gpu.memory_used_mb, gpu.memory_total_mb) == (5 << 10, 80 << 10)
    assert gpu.processes == (4242,)


def test_unsupported_fields_give_none() -> None:
    (gpu,) = reader(FakeNvml({"uuid": "GPU-2222"})).read()

    assert gpu.gpu_id == "0"
    assert gpu.utilization_percent is gpu.memory_used_mb is gpu.power_watts is None


def test_mig_devices_have_no_power_and_utilisation() -> None:
    slices = [
        {"uuid": "MIG-a", "memory": SimpleNamespace(used=1 << 30, total=10 << 30)},
        None,
        {"uuid": "MIG-b"},
    ]

    gpus = reader(FakeNvml({**WHOLE, "mig_mode": (1, 1), "mig": slices})).read()

    assert [gpu.gpu_id for gpu in gpus] == ["MIG-a", "MIG-b"]
    assert gpus[0].memory_total_mb == 10 << 10
    assert all(gpu.utilization_percent is gpu.power_watts is None for gpu in gpus)


def test_failed_driver_is_initialised_again() -> None:
    nvml = FakeNvml({**WHOLE, "rates": NvmlError(FakeNvml.NVML_ERROR_UNKNOWN)})
    gpus = reader(nvml)
    with pytest.raises(GpuError, match="999"):
        gpus.read()
    nvml.devices = (WHOLE,)

    assert len(gpus.read()) == 1
    assert nvml.started == 2


def test_lost_gpu_affects_no_other_gpu() -> None:
    lost = {**WHOLE, "rates": NvmlError(15)}
    gpus = reader(FakeNvml(WHOLE, lost, {**WHOLE, "minor": 5}))

    assert [gpu.gpu_id for gpu in gpus.read()] == ["3", "5"]
    assert gpus.unread == ["GPU 1: error 15"]


def test_missing_library_names_package_to_install() -> None:
    def missing() -> ModuleType:
        raise ImportError("No module named 'pynvml'")

    gpus = NvidiaGpus(missing)

    assert "install nvidia-ml-py" in str(gpus.missing())
    with pytest.raises(GpuError):
        gpus.read()


def test_missing_driver_is_reported() -> None:
    class NoDriver(FakeNvml):
        def nvmlInit(self) -> None:
            raise NvmlError(9)

    assert "driver" in str(reader(NoDriver()).missing())
