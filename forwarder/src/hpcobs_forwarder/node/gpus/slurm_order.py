"""Find out which device files Slurm's GPU indexes stand for on this node."""

from __future__ import annotations

import os
import shutil
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.node.gpus.gres_conf import (
    GpuOrder,
    GresError,
    configured_order,
    listed_order,
)
from hpcobs_forwarder.node.gpus.readings import GpuError
from hpcobs_forwarder.node.gpus.time_limit import TimeLimit
from hpcobs_forwarder.slurm_conf import slurm_conf_paths

if TYPE_CHECKING:
    from hpcobs_forwarder.node.records import JobRecord

_SEARCHED = "/usr/sbin:/usr/local/sbin:/opt/slurm/sbin"
_TIME_LIMIT_SECONDS = 5.0
_RETRY_SECONDS = 600.0
"""slurmd cannot list its GPUs while a slurmctld that has its configuration does not respond."""


class SlurmOrder(NamedTuple):
    """The order, and where it comes from. ``order`` is None with the reason in ``source``.

    ``is_found`` is false on a node that shows nothing of Slurm's configuration.
    """

    order: GpuOrder | None
    source: str
    is_found: bool = True


class _Known(NamedTuple):
    order: SlurmOrder
    stamp: object
    until: float


class SlurmGpus:
    """Slurm's own list of the node's GPUs, read when a job's GPUs are known by index only.

    ``slurmd -G`` prints what slurmd makes of gres.conf, slurm.conf and the hardware. It runs once,
    and again when one of the files has changed. Without it, gres.conf is read.
    """

    def __init__(self, root: str, command: str | None = None) -> None:
        """Read nothing yet.

        ``root`` holds Slurm's configuration. ``command`` is slurmd's path, empty for none.
        """
        self._root = root
        self._command = command
        self._limit = TimeLimit("slurmd", _TIME_LIMIT_SECONDS + 1)
        self._known: dict[tuple[str, str], _Known] = {}

    def of_record(self, record: JobRecord | None) -> SlurmOrder:
        """Return the order for a job, by the slurm.conf and the node that its record names."""
        conf = (record.slurm_conf if record else None) or ""
        node = (record.node if record else None) or socket.gethostname().partition(".")[0]
        stamp, now = self._stamp(conf), time.monotonic()
        known = self._known.get((conf, node))
        if known is None or known.stamp != stamp or now >= known.until:
            result = self._read(conf, node)
            until = now + _RETRY_SECONDS if _is_to_retry(result) else float("inf")
            known = self._known[conf, node] = _Known(result, stamp, until)
        return known.order

    def _read(self, conf: str, node: str) -> SlurmOrder:
        command = _slurmd(conf) if self._command is None else self._command
        if not command:
            return self._configured(conf, node, "slurmd was not found", is_found=bool(conf))
        try:
            order = listed_order(self._listed(command, conf, node))
        except (GpuError, GresError, ValueError) as error:
            return self._configured(conf, node, f"{command} -G: {error}", is_found=bool(conf))
        if order is not None:
            return SlurmOrder(order, f"{command} -G")
        return self._configured(conf, node, f"{command} -G lists no GPU", is_found=True)

    def _listed(self, command: str, conf: str, node: str) -> str:
        confs = filter(os.path.isfile, self._slurm_confs(conf))
        return self._limit.call(lambda: _run(command, next(confs, None), node))

    def _configured(self, conf: str, node: str, failure: str, *, is_found: bool) -> SlurmOrder:
        path = next(filter(os.path.isfile, self._gres_confs(conf)), None)
        if path is None:
            return SlurmOrder(None, f"{failure}, and there is no gres.conf", is_found=is_found)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return SlurmOrder(configured_order(file.read(), node), path)
        except (OSError, ValueError, GresError) as error:
            return SlurmOrder(None, f"{failure}, and {path} does not help: {error}")

    def _stamp(self, conf: str) -> object:
        """Return what changes when slurm.conf or gres.conf does."""
        return [_stamp_of(path) for path in (*self._slurm_confs(conf), *self._gres_confs(conf))]

    def _gres_confs(self, conf: str) -> list[str]:
        """Return where gres.conf may be: always beside slurm.conf."""
        return [f"{os.path.dirname(path)}/gres.conf" for path in self._slurm_confs(conf)]

    def _slurm_confs(self, conf: str) -> list[str]:
        # Slurm's folder may be the same inside and outside of a container with another root.
        return [f"{self._root}{conf}", conf] if conf else slurm_conf_paths(self._root)


def _stamp_of(path: str) -> object:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _is_to_retry(known: SlurmOrder) -> bool:
    return known.order is None or known.order.is_detected


def _slurmd(conf: str) -> str | None:
    # A site that builds Slurm itself has sbin beside etc.
    beside = f"{os.path.dirname(os.path.dirname(conf))}/sbin:" if conf else ""
    return shutil.which("slurmd", path=f"{beside}{os.environ.get('PATH', '')}:{_SEARCHED}")


def _run(command: str, conf: str | None, node: str) -> str:
    """Return what ``slurmd -G`` prints. It logs the list to standard error."""
    import subprocess  # here, since most nodes never need it

    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
    if conf is not None:
        environment["SLURM_CONF"] = conf
    try:
        ended = subprocess.run(  # noqa: S603 - a fixed command
            [command, "-G", "-N", node],
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=_TIME_LIMIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise GpuError(str(error)) from error
    output = ended.stdout.decode("utf-8", "replace")
    if ended.returncode:
        last = output.strip().rpartition("\n")[2]
        raise GpuError(f"exit status {ended.returncode}: {last}")
    return output
