"""Read NVIDIA GPUs and their MIG devices by NVML (the ``nvidia-ml-py`` package).

NVML reports memory and processes of a MIG device. Utilisation, power and temperature exist only for
the whole GPU. They are left out, because each MIG device on the GPU would repeat them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.node.gpus.library import Library
from hpcobs_forwarder.node.gpus.mig import MigMinors, alias
from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading
from hpcobs_forwarder.node.gpus.values import MOST_CELSIUS, MOST_PERCENT, MOST_WATTS, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

# NVML's error numbers (nvml.h). These mean "not on this GPU" or "not with this driver": invalid
# argument, not supported, no permission, not found, function not found.
_NOT_HERE = frozenset({2, 3, 4, 6, 13})
_GPU_IS_LOST = 15

# With MPS the clients are in a list of their own. A GPU can also be used for graphics alone.
_PROCESS_LISTS = (
    "nvmlDeviceGetComputeRunningProcesses",
    "nvmlDeviceGetGraphicsRunningProcesses",
    "nvmlDeviceGetMPSComputeRunningProcesses",
)


class NvidiaGpus:
    """The node's NVIDIA GPUs. NVML is initialised at the first reading, and after a failure."""

    name = "nvidia"

    def __init__(self, library: Callable[[], ModuleType] | None = None, root: str = "") -> None:
        """Use ``library`` to import the ``pynvml`` module. ``root`` holds /proc."""
        self._library = Library(
            library or (lambda: importlib.import_module("pynvml")),
            initialise="nvmlInit",
            package="install nvidia-ml-py",
            driver="NVML does not start: is the NVIDIA driver loaded?",
        )
        self._mig_minors = MigMinors(root)
        self._nvml: Any = None
        self.unread: list[str] = []
        self.is_partial = False

    def missing(self) -> str | None:
        """Return what NVML lacks and how to fix it, or None if it works."""
        return self._library.missing()

    def read(self) -> list[GpuReading]:
        """Read the GPUs and MIG devices. Raise GpuError if NVML fails as a whole.

        A GPU that fell off the bus is listed in ``unread``, and so is each value that NVML cannot
        report. All others are still read.
        """
        self._nvml = self._library.open()
        self.unread, self.is_partial = [], False
        readings: list[GpuReading] = []
        try:
            for index in range(self._nvml.nvmlDeviceGetCount()):
                readings += self._readings(index)
        except self._nvml.NVMLError as error:
            raise self._broken(error) from error
        if self.is_partial and not readings:
            raise self._broken(self.unread[0])
        return readings

    def _broken(self, why: object) -> GpuError:
        self._library.forget()
        return GpuError(f"NVML: {why}")

    def _readings(self, index: int) -> list[GpuReading]:
        values = Values(f"GPU {index}")
        try:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            readings = list(self._device(handle, index, values))
        except Exception as error:  # noqa: BLE001 - one GPU must not cost the others
            self.unread.append(f"GPU {index}: {error}")
            self.is_partial = True
            return []
        self.unread += values.dropped
        if values.dropped and all(reading.is_blank for reading in readings):
            self.is_partial = True  # nothing works: as good as lost
            return []
        return readings

    def _device(self, handle: Any, index: int, values: Values) -> Iterator[GpuReading]:
        minor = self._call(values, "nvmlDeviceGetMinorNumber", handle)
        # With MIG on, jobs get MIG devices and never the whole GPU.
        failures = len(values.dropped)
        mode = self._call(values, "nvmlDeviceGetMigMode", handle)
        is_certain = len(values.dropped) == failures
        if mode is None or mode[0] != self._nvml.NVML_DEVICE_MIG_ENABLE:
            reading = self._whole(handle, index, minor, values)
            yield reading if is_certain else _by_uuid_only(reading)
            return
        gpu_uuid = self._uuid(handle, values)
        # The count is of slots. An empty one returns NVML_ERROR_NOT_FOUND.
        for slot in range(self._call(values, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
            device = self._call(values, "nvmlDeviceGetMigDeviceHandleByIndex", handle, slot)
            uuid = None if device is None else self._uuid(device, values)
            if uuid is not None:
                yield self._mig(device, uuid, gpu_uuid, minor, values)

    def _whole(self, handle: Any, index: int, minor: int | None, values: Values) -> GpuReading:
        # NVML's index follows the PCI bus. It can differ from the number in /dev/nvidia<minor>.
        failed = bool(values.dropped)
        number = index if minor is None else minor
        uuid = self._uuid(handle, values)
        # Where the number could not be read, the index may be the number of another GPU.
        gpu_id = uuid if uuid and minor is None and failed else str(number)
        rates = self._call(values, "nvmlDeviceGetUtilizationRates", handle)
        milliwatts = self._call(values, "nvmlDeviceGetPowerUsage", handle)
        sensor = getattr(self._nvml, "NVML_TEMPERATURE_GPU", 0)
        celsius = self._call(values, "nvmlDeviceGetTemperature", handle, sensor)
        watts = values.within("power_watts", 1000 * MOST_WATTS, milliwatts)
        return self._memory_and_processes(handle, gpu_id, values)._replace(
            names=frozenset({uuid} if uuid else ()),
            position=index,
            minor=minor,
            files=frozenset() if minor is None else frozenset({f"/dev/nvidia{minor}"}),
            utilization_percent=values.within(
                "utilization_percent", MOST_PERCENT, getattr(rates, "gpu", None)
            ),
            power_watts=None if watts is None else watts / 1000,
            temperature_celsius=values.within("temperature_celsius", MOST_CELSIUS, celsius),
        )

    def _mig(
        self, device: Any, uuid: str, gpu_uuid: str | None, minor: int | None, values: Values
    ) -> GpuReading:
        instance = self._call(values, "nvmlDeviceGetGpuInstanceId", device)
        compute = self._call(values, "nvmlDeviceGetComputeInstanceId", device)
        return self._memory_and_processes(device, uuid, values)._replace(
            names=frozenset({uuid, *alias(gpu_uuid, instance, compute)}),
            minor=minor,
            files=self._mig_minors.files(minor, instance, compute),
            is_mig=True,
        )

    def _memory_and_processes(self, handle: Any, gpu_id: str, values: Values) -> GpuReading:
        memory = self._call(values, "nvmlDeviceGetMemoryInfo", handle)
        used, total = values.memory(
            getattr(memory, "used", None), getattr(memory, "total", None), per_mb=1 << 20
        )
        processes = {
            process.pid
            for name in _PROCESS_LISTS
            for process in self._call(values, name, handle) or ()
        }
        return GpuReading(
            gpu_id=gpu_id,
            gpu_vendor="nvidia",
            names=frozenset(),
            memory_used_mb=used,
            memory_total_mb=total,
            processes=tuple(sorted(processes)),
        )

    def _uuid(self, handle: Any, values: Values) -> str | None:
        uuid = self._call(values, "nvmlDeviceGetUUID", handle)
        # Older nvidia-ml-py returns bytes.
        text = uuid.decode("ascii", "replace") if isinstance(uuid, bytes) else uuid
        return str(text) if text else None

    def _call(self, values: Values, name: str, *arguments: Any) -> Any:
        """Call NVML. Return None if this GPU or driver does not support it, or if the call fails.

        A failure costs this one value, and is recorded in ``values``. Raise the library's error if
        the GPU is lost, because then every call fails.
        """
        function = getattr(self._nvml, name, None)
        if function is None:
            return None  # an older nvidia-ml-py
        try:
            return function(*arguments)
        except Exception as error:
            code = getattr(error, "value", None)
            if code == _GPU_IS_LOST:
                raise
            if code not in _NOT_HERE:
                values.drop(name, error)
            return None


def _by_uuid_only(reading: GpuReading) -> GpuReading:
    """Return a reading that only Slurm's UUID of the whole GPU can match.

    The GPU may be in MIG mode. Then its device file and its processes are those of several jobs.
    """
    return reading._replace(minor=None, position=None, files=frozenset(), processes=())
