"""Read NVIDIA GPUs and their MIG devices by NVML (the ``nvidia-ml-py`` package).

NVML reports memory and processes of a MIG device. Utilisation, power and temperature exist only for
the whole GPU. They are left out, because each MIG device on the GPU would repeat them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeVar

from hpcobs_forwarder.node.gpus.readings import GpuError, GpuReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

T = TypeVar("T")


class NvidiaGpus:
    """The node's NVIDIA GPUs. NVML is initialised at the first reading, and after a failure."""

    name = "nvidia"

    def __init__(self, library: Callable[[], ModuleType] | None = None) -> None:
        """Use ``library`` to import the ``pynvml`` module."""
        self._library = library or (lambda: importlib.import_module("pynvml"))
        self._nvml: Any = None
        self.unread: list[str] = []

    def missing(self) -> str | None:
        """Return what NVML lacks and how to fix it, or None if it works."""
        try:
            self._open()
        except GpuError as error:
            return str(error)
        return None

    def read(self) -> list[GpuReading]:
        """Read the GPUs and MIG devices. Raise GpuError if NVML fails as a whole.

        A GPU that fell off the bus is listed in ``unread``. The others are still read.
        """
        nvml = self._open()
        self.unread = []
        readings: list[GpuReading] = []
        try:
            for index in range(nvml.nvmlDeviceGetCount()):
                readings += self._readings(index)
        except nvml.NVMLError as error:
            raise self._broken(error) from error
        if self.unread and not readings:
            raise self._broken(self.unread[0])
        return readings

    def _broken(self, why: object) -> GpuError:
        self._nvml = None  # initialise again next time: the driver may have been updated
        return GpuError(f"NVML: {why}")

    def _readings(self, index: int) -> list[GpuReading]:
        nvml = self._nvml
        try:
            return list(self._device(nvml.nvmlDeviceGetHandleByIndex(index), index))
        except nvml.NVMLError as error:
            self.unread.append(f"GPU {index}: {error}")
            return []

    def _open(self) -> Any:
        if self._nvml is not None:
            return self._nvml
        try:
            nvml: Any = self._library()
        except ImportError as error:
            raise GpuError(f"{error}; install nvidia-ml-py") from error
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            raise GpuError(f"NVML: {error}; is the NVIDIA driver loaded?") from error
        self._nvml = nvml
        return nvml

    def _device(self, handle: Any, index: int) -> Iterator[GpuReading]:
        nvml = self._nvml
        # With MIG on, jobs get MIG devices and never the whole GPU.
        mode = self._call(nvml.nvmlDeviceGetMigMode, handle)
        if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            yield self._whole(handle, index)
            return
        # The count is of slots. An empty one returns NVML_ERROR_NOT_FOUND.
        for slot in range(self._call(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            device = self._call(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, slot)
            if device is not None:
                yield self._memory_and_processes(device, self._uuid(device))

    def _whole(self, handle: Any, index: int) -> GpuReading:
        nvml = self._nvml
        # NVML's index follows the PCI bus. It can differ from the number in /dev/nvidia<minor>, by
        # which gres.conf and so Slurm number the GPUs.
        minor = self._call(nvml.nvmlDeviceGetMinorNumber, handle)
        number = index if minor is None else minor
        rates = self._call(nvml.nvmlDeviceGetUtilizationRates, handle)
        milliwatts = self._call(nvml.nvmlDeviceGetPowerUsage, handle)
        celsius = self._call(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        return self._memory_and_processes(handle, str(number))._replace(
            names=frozenset({str(number), self._uuid(handle)}),
            minor=number,
            utilization_percent=None if rates is None else float(rates.gpu),
            power_watts=None if milliwatts is None else milliwatts / 1000,
            temperature_celsius=None if celsius is None else float(celsius),
        )

    def _memory_and_processes(self, handle: Any, gpu_id: str) -> GpuReading:
        nvml = self._nvml
        memory = self._call(nvml.nvmlDeviceGetMemoryInfo, handle)
        processes = self._call(nvml.nvmlDeviceGetComputeRunningProcesses, handle) or ()
        return GpuReading(
            gpu_id=gpu_id,
            gpu_vendor="nvidia",
            names=frozenset({gpu_id}),
            memory_used_mb=None if memory is None else memory.used >> 20,
            memory_total_mb=None if memory is None else memory.total >> 20,
            processes=tuple(process.pid for process in processes),
        )

    def _uuid(self, handle: Any) -> str:
        uuid = self._nvml.nvmlDeviceGetUUID(handle)
        # Older nvidia-ml-py returns bytes.
        return uuid.decode() if isinstance(uuid, bytes) else str(uuid)

    def _call(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """Call NVML. Return None if this GPU or this driver does not support the function."""
        nvml = self._nvml
        try:
            return function(*arguments)
        except nvml.NVMLError as error:
            # These mean "not on this GPU". Any other error, such as GPU_IS_LOST, is a failure.
            if error.value in {
                nvml.NVML_ERROR_NOT_SUPPORTED,
                nvml.NVML_ERROR_NOT_FOUND,
                nvml.NVML_ERROR_NO_PERMISSION,
                nvml.NVML_ERROR_INVALID_ARGUMENT,
                nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            }:
                return None
            raise
