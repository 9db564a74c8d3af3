"""AMD GPUs by ``amdsmi``, the library that comes with ROCm 6."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


_MOST_WATTS = 10_000
_MOST_CELSIUS = 500


class AmdGpus:
    """The node's AMD GPUs. The library is opened at the first reading, and after a failure."""

    name = "amd"
    unread = ()

    def __init__(self, library: Callable[[], ModuleType] | None = None) -> None:
        """``library`` gives the ``amdsmi`` module."""
        self._library = library or (lambda: importlib.import_module("amdsmi"))
        self._smi: Any = None

    def missing(self) -> str | None:
        """What the library lacks to work, and how to mend it."""
        try:
            self._open()
        except GpuError as error:
            return str(error)
        return None

    def read(self) -> list[GpuReading]:
        """The GPUs; GpuError if the library fails as a whole."""
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
        except (ImportError, OSError, KeyError) as error:  # it loads ROCm's C library on import
            raise GpuError(f"{error}; install amdsmi (/opt/rocm/share/amd_smi)") from error
        try:
            smi.amdsmi_init()
        except smi.AmdSmiException as error:
            raise GpuError(f"amdsmi: {error}; is the amdgpu driver loaded?") from error
        self._smi = smi
        return smi

    def _device(self, handle: Any, index: int) -> GpuReading:
        smi = self._smi
        activity = self._ask(smi.amdsmi_get_gpu_activity, handle) or {}
        vram = self._ask(smi.amdsmi_get_gpu_vram_usage, handle) or {}
        power = self._ask(smi.amdsmi_get_power_info, handle) or {}
        uuid = self._ask(smi.amdsmi_get_gpu_device_uuid, handle)
        processes = self._ask(smi.amdsmi_get_gpu_process_list, handle) or ()
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
        for sensor in (smi.AmdSmiTemperatureType.EDGE, smi.AmdSmiTemperatureType.HOTSPOT):
            celsius = within(
                _MOST_CELSIUS,
                self._ask(
                    smi.amdsmi_get_temp_metric,
                    handle,
                    sensor,
                    smi.AmdSmiTemperatureMetric.CURRENT,
                ),
            )
            if celsius is not None:
                return celsius
        return None

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None where this GPU or this driver does not know."""
        try:
            return question(*arguments)
        except self._smi.AmdSmiLibraryException:
            return None


def number(answer: object) -> float | None:
    """The number in a tool's answer, which says ``N/A`` or nothing where it has none."""
    if isinstance(answer, str):
        try:
            return float(answer)
        except ValueError:
            return None
    return float(answer) if isinstance(answer, (int, float)) else None


def within(most: float, answer: object) -> float | None:
    """The number, unless it is more than can be: older versions fill blanks with 0xFFFF."""
    found = number(answer)
    return None if found is None or not 0 <= found <= most else found


def whole(answer: object) -> int | None:
    """The same as a whole number."""
    found = number(answer)
    return None if found is None else int(found)
