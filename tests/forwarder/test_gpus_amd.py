"""AMD GPUs, by a stand-in for amdsmi."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.node.gpus.amd import AmdGpus
from tests.forwarder.trees import write

if TYPE_CHECKING:
    from pathlib import Path


class AmdSmiError(Exception):
    pass


class AmdSmiLibraryError(AmdSmiError):
    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.err_code = code


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

    def amdsmi_get_gpu_process_info(self, device: dict[str, Any], handle: Any) -> Any:
        return self._field(device, "processes")[handle.number]

    def _field(self, device: dict[str, Any], name: str) -> Any:
        if name not in device:
            raise AmdSmiLibraryError(name)
        if isinstance(device[name], Exception):
            raise device[name]
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
    assert gpu.names == {"e1ff", "GPU-e1ff"}
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


GOOD = {
    "gpu_activity": {"gfx_activity": 42},
    "gpu_vram_usage": {"vram_used": 1024, "vram_total": 65_536},
    "power_info": {"average_socket_power": 250},
    "edge": 55,
}
BROKEN = AmdSmiLibraryError("internal", 16)


class Handle:
    """A process as amdsmi lists it before ROCm 6.2."""

    def __init__(self, number: int) -> None:
        self.number = number


@pytest.mark.parametrize(
    ("processes", "found"),
    [
        ([{"pid": 7}, {"name": "a"}, {"pid": "N/A"}], (7,)),
        ([Handle(0), Handle(1)], (11, 12)),
        ([None, 3.5, {"pid": 7}], (7,)),
        ("none", ()),
        (BROKEN, ()),
        (TypeError("another signature"), ()),
    ],
)
def test_process_list_of_any_version_is_read(processes: Any, found: tuple[int, ...]) -> None:
    described = [{"pid": 11}, {"pid": 12}]

    (gpu,) = reader({**GOOD, "gpu_process_list": processes, "processes": described}).read()

    assert gpu.processes == found
    assert (gpu.utilization_percent, gpu.memory_used_mb) == (42, 1024)


def test_process_under_every_gpu_is_no_evidence() -> None:
    first, second = reader(
        {**GOOD, "gpu_process_list": [{"pid": 7}, {"pid": 8}]},
        {**GOOD, "gpu_process_list": [{"pid": 7}]},
    ).read()

    assert (first.processes, second.processes) == ((8,), ())


@pytest.mark.parametrize(
    ("field", "value", "blank"),
    [
        ("gpu_activity", BROKEN, "utilization_percent"),
        ("gpu_activity", {"gfx_activity": 686_103}, "utilization_percent"),
        ("gpu_activity", {"gfx_activity": "Infinity"}, "utilization_percent"),
        ("gpu_activity", {"gfx_activity": float("nan")}, "utilization_percent"),
        ("power_info", {"average_socket_power": "250 kW"}, "power_watts"),
        ("power_info", {"average_socket_power": 99_999}, "power_watts"),
        ("edge", 1_000, "temperature_celsius"),
        ("gpu_vram_usage", {"vram_used": 70_000, "vram_total": 65_536}, "memory_used_mb"),
    ],
)
def test_bad_value_costs_only_itself(field: str, value: Any, blank: str) -> None:
    gpus = reader({**GOOD, field: value}, GOOD)

    bad, good = gpus.read()

    kept: dict[str, Any] = {blank: None}
    assert bad == good._replace(gpu_id="0", position=0, minor=bad.minor, files=bad.files, **kept)
    assert len(gpus.unread) == 1


def test_numbers_may_be_texts_with_units() -> None:
    (gpu,) = reader(
        {
            "gpu_activity": {"gfx_activity": "42 %"},
            "gpu_vram_usage": {"vram_used": "1024 MB", "vram_total": "65536 MiB"},
            "power_info": {"current_socket_power": {"value": 250, "unit": "W"}},
            "edge": "55 °C",
        }
    ).read()

    assert (gpu.utilization_percent, gpu.memory_used_mb, gpu.memory_total_mb) == (42, 1024, 65_536)
    assert (gpu.power_watts, gpu.temperature_celsius) == (250, 55)


def test_lost_gpu_affects_no_other_gpu() -> None:
    gpus = reader(dict.fromkeys(GOOD, BROKEN), GOOD)

    assert [gpu.gpu_id for gpu in gpus.read()] == ["1"]
    assert gpus.is_partial


def test_render_devices_are_found_by_pci_address(tmp_path: Path) -> None:
    pci = tmp_path / "sys/bus/pci/devices"
    (pci / "0000:c1:00.0/drm/renderD129").mkdir(parents=True)
    (pci / "0000:c1:00.0/drm/card2").mkdir()
    for minor in (130, 131):  # one GPU in two partitions
        (pci / f"0000:e1:00.0/drm/renderD{minor}").mkdir(parents=True)
    module: Any = FakeAmdSmi(
        {**GOOD, "gpu_device_bdf": "0000:C1:00.0"},
        {**GOOD, "gpu_device_bdf": "0000:e1:00.0"},
        {**GOOD, "gpu_enumeration_info": {"drm_render": 128, "hip_uuid": "GPU-ff"}},
    )

    first, split, last = AmdGpus(lambda: module, str(tmp_path)).read()

    assert (first.minor, split.minor, last.minor) == (129, None, 128)
    assert first.files == {"/dev/dri/renderD129", "/dev/dri/card2"}
    assert last.files == {"/dev/dri/renderD128"}
    assert "GPU-ff" in last.names


@pytest.mark.parametrize(
    ("nodes", "minors"),
    [((), [128, 129]), ((128, 129), [128, 129]), ((128, 129, 130), [None, None])],
)
def test_render_devices_without_address_need_no_gap(
    tmp_path: Path, nodes: tuple[int, ...], minors: list[int | None]
) -> None:
    for minor in nodes:
        write(tmp_path / f"dev/dri/renderD{minor}", "")
    module: Any = FakeAmdSmi(GOOD, GOOD)

    assert [gpu.minor for gpu in AmdGpus(lambda: module, str(tmp_path)).read()] == minors


def test_missing_library_names_package_to_install() -> None:
    def missing() -> Any:
        raise ImportError("No module named 'amdsmi'")

    assert "install amdsmi" in str(AmdGpus(missing).missing())
