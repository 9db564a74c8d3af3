"""Read AMD GPUs by ``amdsmi``, the library that comes with ROCm 6."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

# Above these a value is a placeholder: older versions fill fields with 0xFFFF or 0xFFFFFFFF.
_MOST_WATTS = 10_000
_MOST_CELSIUS = 500


class AmdGpus:
    """The node's AMD GPUs. amdsmi is initialised at the first reading, and after a failure."""

    name = "amd"
    unread = ()

    def __init__(self, library: Callable[[], ModuleType] | None = None) -> None:
        """Use ``library`` to import the ``amdsmi`` module."""
        self._library = library or (lambda: importlib.import_module("amdsmi"))
        self._smi: Any = None

    def missing(self) -> str | None:
        """Return what amdsmi lacks and how to fix it, or None if it works."""
        try:
            self._open()
        except GpuError as error:
            return str(error)
        return None

    def read(self) -> list[GpuReading]:
        """Read the GPUs. Raise GpuError if the library fails as a whole."""
        smi = self._open()
        try:
            handles = smi.amdsmi_get_processor_handles()
            return [self._device(handle, index) for index, handle in enumerate(handles)]
        except smi.AmdSmiException as error:
            self._smi = None
            raise GpuError(f"amdsmi: {error}") from error

    def _open(self) -> Any:
        if self._smi is not None:
            return self._smi
        try:
            smi: Any = self._library()
        except (ImportError, OSError, KeyError) as error:
            # On import amdsmi loads ROCm's C library, which may be missing or of another version.
            raise GpuError(f"{error}; install amdsmi (/opt/rocm/share/amd_smi)") from error
        try:
            smi.amdsmi_init()
        except smi.AmdSmiException as error:
            raise GpuError(f"amdsmi: {error}; is the amdgpu driver loaded?") from error
        self._smi = smi
        return smi

    def _device(self, handle: Any, index: int) -> GpuReading:
        smi = self._smi
        activity = self._call(smi.amdsmi_get_gpu_activity, handle) or {}
        vram = self._call(smi.amdsmi_get_gpu_vram_usage, handle) or {}
        power = self._call(smi.amdsmi_get_power_info, handle) or {}
        uuid = self._call(smi.amdsmi_get_gpu_device_uuid, handle)
        processes = self._call(smi.amdsmi_get_gpu_process_list, handle) or ()
        # MI300 and newer report the current power, older GPUs the average.
        watts = within(_MOST_WATTS, power.get("current_socket_power"))
        if watts is None:
            watts = within(_MOST_WATTS, power.get("average_socket_power"))
        return GpuReading(
            gpu_id=str(index),
            gpu_vendor="amd",
            names=frozenset({str(index)} | ({str(uuid), f"GPU-{uuid}"} if uuid else set())),
            utilization_percent=within(100, activity.get("gfx_activity")),
            memory_used_mb=whole(vram.get("vram_used")),
            memory_total_mb=whole(vram.get("vram_total")),
            power_watts=watts,
            temperature_celsius=self._celsius(handle),
            processes=tuple(entry["pid"] for entry in processes if "pid" in entry),
        )

    def _celsius(self, handle: Any) -> float | None:
        smi = self._smi
        # Some GPUs have no edge sensor and report the hot spot only.
        for sensor in (smi.AmdSmiTemperatureType.EDGE, smi.AmdSmiTemperatureType.HOTSPOT):
            celsius = within(
                _MOST_CELSIUS,
                self._call(
                    smi.amdsmi_get_temp_metric,
                    handle,
                    sensor,
                    smi.AmdSmiTemperatureMetric.CURRENT,
                ),
            )
            if celsius is not None:
                return celsius
        return None

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call amdsmi. Return None if this GPU or this driver does not support the function."""
        try:
            return function(*arguments)
        except self._smi.AmdSmiLibraryException:
            return None


def number(value: object) -> float | None:
    """Return the number in a tool's output, or None for ``N/A`` and empty values."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, (int, float)) else None


def within(most: float, value: object) -> float | None:
    """Return the number, or None if it is not between 0 and ``most``."""
    found = number(value)
    return None if found is None or not 0 <= found <= most else found


def whole(value: object) -> int | None:
    """Return the number in a tool's output as an integer, or None."""
    found = number(value)
    return None if found is None else int(found)
