"""NVIDIA GPUs, by a stand-in for NVML: the library needs the hardware."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.node.gpus.nvidia import NvidiaGpus
from hpcobs_forwarder.node.gpus.readings import GpuError
from tests.forwarder.trees import write

if TYPE_CHECKING:
    from pathlib import Path
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
            "nvmlDeviceGetMPSComputeRunningProcesses": "clients",
            "nvmlDeviceGetGpuInstanceId": "instance",
            "nvmlDeviceGetComputeInstanceId": "compute",
            "nvmlDeviceGetUUID": "uuid",
        }
        if name not in fields:
            raise AttributeError(name)
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
    assert gpu.position == 0
    assert gpu.names == {"GPU-1111"}
    assert gpu.files == {"/dev/nvidia3"}
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
    unknown = NvmlError(FakeNvml.NVML_ERROR_UNKNOWN)
    nvml = FakeNvml(dict.fromkeys(WHOLE, unknown))
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
    assert gpus.is_partial


NUMBERS = {
    "rates": "utilization_percent",
    "milliwatts": "power_watts",
    "celsius": "temperature_celsius",
    "memory": "memory_used_mb",
}
WRONG: list[tuple[str, Any]] = [
    *((field, NvmlError(999)) for field in NUMBERS),
    *((field, NvmlError(20)) for field in NUMBERS),
    ("rates", SimpleNamespace(gpu=686_103)),
    ("rates", SimpleNamespace(gpu=101)),
    ("rates", SimpleNamespace(gpu=-1)),
    ("rates", SimpleNamespace(gpu=float("nan"))),
    ("milliwatts", 4_294_967_295_000),
    ("milliwatts", -5),
    ("celsius", 511),
    ("celsius", -40),
    ("memory", SimpleNamespace(used=81 << 30, total=80 << 30)),
    ("memory", SimpleNamespace(used=-1, total=80 << 30)),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_bad_value_costs_only_itself(field: str, value: Any) -> None:
    gpus = reader(FakeNvml({**WHOLE, field: value}, {**WHOLE, "minor": 5}))

    bad, good = gpus.read()

    blank: dict[str, Any] = {NUMBERS[field]: None}
    if isinstance(value, NvmlError) and field == "memory":
        blank["memory_total_mb"] = None
    assert bad == good._replace(gpu_id="3", minor=3, position=0, files=bad.files, **blank)
    assert len(gpus.unread) == 1
    assert "GPU 0" in gpus.unread[0]
    assert not gpus.is_partial


@pytest.mark.parametrize("field", ["uuid", "minor", "mig_mode", "processes", "clients"])
def test_failing_detail_leaves_all_values(field: str) -> None:
    gpus = reader(FakeNvml({**WHOLE, field: NvmlError(999)}))

    (gpu,) = gpus.read()

    assert (gpu.utilization_percent, gpu.power_watts, gpu.memory_used_mb) == (87, 312.5, 5 << 10)
    assert len(gpus.unread) == 1


def test_failing_number_keeps_gpus_apart() -> None:
    gpus = reader(FakeNvml({**WHOLE, "minor": NvmlError(999)}, {**WHOLE, "minor": 0}))

    assert [gpu.gpu_id for gpu in gpus.read()] == ["GPU-1111", "0"]


def test_gpu_with_unknown_mig_mode_has_uuid_only() -> None:
    (gpu,) = reader(FakeNvml({**WHOLE, "mig_mode": NvmlError(999)})).read()

    assert gpu.names == {"GPU-1111"}
    assert gpu.minor is gpu.position is None
    assert not gpu.files | set(gpu.processes)


def test_unreported_value_is_no_error() -> None:
    gpus = reader(FakeNvml({**WHOLE, "memory": SimpleNamespace(used=(1 << 64) - 1, total=1 << 30)}))

    assert gpus.read()[0].memory_used_mb is None
    assert gpus.unread == []


def test_mps_clients_count_as_processes() -> None:
    (gpu,) = reader(FakeNvml({**WHOLE, "clients": [SimpleNamespace(pid=7)]})).read()

    assert gpu.processes == (7, 4242)


def test_mig_device_has_its_capability_files(tmp_path: Path) -> None:
    write(
        tmp_path / "proc/driver/nvidia-caps/mig-minors",
        "config 1\nmonitor 2\ngpu3/gi7/access 57\ngpu3/gi7/ci0/access 58\n",
    )
    slices = [{"uuid": "MIG-a", "instance": 7, "compute": 0}, {"uuid": "MIG-b", "instance": 8}]
    module: Any = FakeNvml({**WHOLE, "mig_mode": (1, 1), "mig": slices})

    known, unknown = NvidiaGpus(lambda: module, str(tmp_path)).read()

    caps = "/dev/nvidia-caps/nvidia-cap"
    assert known.files == {f"{caps}57", f"{caps}58"}
    assert known.names == {"MIG-a", "MIG-GPU-1111/7/0"}
    assert (known.minor, known.is_mig, unknown.files) == (3, True, frozenset())


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
