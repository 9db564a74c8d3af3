"""Read AMD GPUs by ``amdsmi``, the library that comes with ROCm 6."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.node.gpus.drm import Drm, DrmDevice, placed
from hpcobs_forwarder.node.gpus.library import Library
from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading
from hpcobs_forwarder.node.gpus.values import MOST_CELSIUS, MOST_PERCENT, MOST_WATTS, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

# amdsmi's status codes (amdsmi.h) for "not with this GPU, driver or user": not supported, not yet
# implemented, no such symbol, no permission, not found, no data. None: an older amdsmi has no code.
_NOT_HERE = frozenset({None, 2, 3, 5, 10, 31, 40})

_SEVERAL = 2


class AmdGpus:
    """The node's AMD GPUs. amdsmi is initialised at the first reading, and after a failure."""

    name = "amd"

    def __init__(self, library: Callable[[], ModuleType] | None = None, root: str = "") -> None:
        """Use ``library`` to import the ``amdsmi`` module. ``root`` holds /sys and /dev."""
        self._library = Library(
            library or (lambda: importlib.import_module("amdsmi")),
            initialise="amdsmi_init",
            package="install amdsmi (/opt/rocm/share/amd_smi)",
            driver="amdsmi does not start: is the amdgpu driver loaded?",
        )
        self._drm = Drm(root)
        self._smi: Any = None
        self.unread: list[str] = []
        self.is_partial = False

    def missing(self) -> str | None:
        """Return what amdsmi lacks and how to fix it, or None if it works."""
        return self._library.missing()

    def read(self) -> list[GpuReading]:
        """Read the GPUs. Raise GpuError if the library fails as a whole.

        Values and GPUs that amdsmi cannot report are listed in ``unread``.
        """
        self._smi = self._library.open()
        self.unread, self.is_partial = [], False
        try:
            handles = list(self._smi.amdsmi_get_processor_handles())
        except Exception as error:
            raise self._broken(error) from error
        values = [Values(f"GPU {index}") for index in range(len(handles))]
        devices = placed(self._drm, list(map(self._drm_device, handles, values)))
        read = map(self._device, handles, range(len(handles)), devices, values)
        readings = [reading for reading in read if reading is not None]
        if self.is_partial and not readings:
            raise self._broken(self.unread[0])
        return _without_widespread(readings)

    def _broken(self, why: object) -> GpuError:
        self._library.forget()
        return GpuError(f"amdsmi: {why}")

    def _device(
        self, handle: Any, index: int, device: DrmDevice, values: Values
    ) -> GpuReading | None:
        reading = self._values(handle, values)._replace(
            gpu_id=str(index),
            position=index,
            minor=device.minor,
            files=device.files,
            names=self._names(handle, values),
            processes=tuple(self._processes(handle, values)),
        )
        self.unread += values.dropped
        if values.dropped and reading.is_blank:
            self.is_partial = True  # nothing works: as good as lost
            return None
        return reading

    def _values(self, handle: Any, values: Values) -> GpuReading:
        activity = self._fields(values, "amdsmi_get_gpu_activity", handle)
        vram = self._fields(values, "amdsmi_get_gpu_vram_usage", handle)
        power = self._fields(values, "amdsmi_get_power_info", handle)
        used, total = values.memory(vram.get("vram_used"), vram.get("vram_total"))
        return GpuReading(
            gpu_id="",
            gpu_vendor="amd",
            names=frozenset(),
            utilization_percent=values.within(
                "utilization_percent", MOST_PERCENT, activity.get("gfx_activity"), "%"
            ),
            memory_used_mb=used,
            memory_total_mb=total,
            power_watts=_watts(power, values),
            temperature_celsius=self._celsius(handle, values),
        )

    def _celsius(self, handle: Any, values: Values) -> float | None:
        types = getattr(self._smi, "AmdSmiTemperatureType", None)
        metrics = getattr(self._smi, "AmdSmiTemperatureMetric", None)
        current = getattr(metrics, "CURRENT", None)
        # Some GPUs have no edge sensor and report the hot spot only.
        for sensor in ("EDGE", "HOTSPOT"):
            found = self._call(
                values, "amdsmi_get_temp_metric", handle, getattr(types, sensor, None), current
            )
            celsius = values.within("temperature_celsius", MOST_CELSIUS, found, "C")
            if celsius is not None:
                return celsius
        return None

    def _names(self, handle: Any, values: Values) -> frozenset[str]:
        uuid = self._call(values, "amdsmi_get_gpu_device_uuid", handle)
        hip = self._fields(values, "amdsmi_get_gpu_enumeration_info", handle).get("hip_uuid")
        found = {str(name) for name in (uuid, hip) if name and name != "N/A"}
        return frozenset(found | {f"GPU-{name}" for name in found if not name.startswith("GPU-")})

    def _drm_device(self, handle: Any, values: Values) -> DrmDevice:
        info = self._fields(values, "amdsmi_get_gpu_enumeration_info", handle)
        minor = values.within("drm_render", 1 << 20, info.get("drm_render"))
        if minor is not None:
            return self._drm.by_minor(int(minor))
        return self._drm.by_address(self._call(values, "amdsmi_get_gpu_device_bdf", handle))

    def _processes(self, handle: Any, values: Values) -> Iterator[int]:
        listed = self._call(values, "amdsmi_get_gpu_process_list", handle)
        for entry in _entries(listed):
            # Before ROCm 6.2 the list has handles, and a second call reads each.
            fields = (
                entry
                if isinstance(entry, dict)
                else self._fields(values, "amdsmi_get_gpu_process_info", handle, entry)
            )
            process = fields.get("pid")
            if isinstance(process, int):
                yield process

    def _fields(self, values: Values, name: str, *arguments: Any) -> dict[str, Any]:
        found = self._call(values, name, *arguments)
        return found if isinstance(found, dict) else {}

    def _call(self, values: Values, name: str, *arguments: Any) -> Any:
        """Call amdsmi. Return None if it does not support the function, or if the call fails.

        A failure costs this one value, and is recorded in ``values``.
        """
        function = getattr(self._smi, name, None)
        if function is None:
            return None  # another version of amdsmi
        try:
            return function(*arguments)
        except Exception as error:  # noqa: BLE001 - one value must not cost the others
            known = getattr(self._smi, "AmdSmiLibraryException", ())
            if not isinstance(error, known) or getattr(error, "err_code", None) not in _NOT_HERE:
                values.drop(name, error)
            return None


def _without_widespread(readings: list[GpuReading]) -> list[GpuReading]:
    """Remove the processes that all GPUs list.

    Many versions of amdsmi list a process under every GPU, whichever it uses.
    """
    if len(readings) < _SEVERAL:
        return readings
    everywhere = set.intersection(*(set(reading.processes) for reading in readings))
    return [
        one._replace(processes=tuple(pid for pid in one.processes if pid not in everywhere))
        for one in readings
    ]


def _watts(power: dict[str, Any], values: Values) -> float | None:
    # MI300 and newer report the current power, older GPUs the average.
    for field in ("current_socket_power", "average_socket_power"):
        watts = values.within("power_watts", MOST_WATTS, power.get(field), "W")
        if watts is not None:
            return watts
    return None


def _entries(listed: object) -> Iterable[Any]:
    return listed if isinstance(listed, (list, tuple)) else ()
