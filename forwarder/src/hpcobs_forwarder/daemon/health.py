"""The forwarder's own health, as a file for node_exporter's textfile collector.

The format is Prometheus' text exposition 0.0.4. Drops and failures are counted here only.
"""

from __future__ import annotations

import logging
import os
import resource
import threading
from contextlib import suppress
from typing import NamedTuple

from hpcobs_forwarder import __version__

_log = logging.getLogger(__name__)

_PREFIX = "hpcobs_forwarder_"


class Metric(NamedTuple):
    """The type, the help and the only label of a metric."""

    kind: str
    help: str
    label: str | None = None


METRICS = {
    "passes_total": Metric("counter", "Sampling or synchronisation passes."),
    "pass_failures_total": Metric("counter", "Passes that failed as a whole."),
    "pass_duration_seconds": Metric("gauge", "Duration of the last pass."),
    "last_pass_timestamp_seconds": Metric("gauge", "End of the last pass."),
    "jobs": Metric("gauge", "Jobs found in the last pass."),
    "reader_errors_total": Metric("counter", "Readings that failed.", "reader"),
    "jobs_lost_total": Metric("counter", "Jobs gone from slurmctld with an unknown end."),
    "samples_read_total": Metric("counter", "Samples taken."),
    "samples_sent_total": Metric("counter", "Samples the site has accepted."),
    "samples_rejected_total": Metric("counter", "Samples the site has rejected."),
    "samples_dropped_total": Metric("counter", "Samples lost.", "reason"),
    "events_sent_total": Metric("counter", "Job events the site has accepted."),
    "events_dropped_total": Metric("counter", "Job events lost.", "reason"),
    "quarantined_total": Metric("counter", "Files moved to the quarantine.", "reason"),
    "requests_total": Metric("counter", "Responses of the site by status, 0 for none.", "status"),
    "last_success_timestamp_seconds": Metric("gauge", "Last time the site accepted an entry."),
    "spool_bytes": Metric("gauge", "Bytes queued for the site."),
    "spool_files": Metric("gauge", "Files queued for the site.", "kind"),
    "spool_oldest_timestamp_seconds": Metric("gauge", "Time of the oldest queued file."),
    "quarantine_bytes": Metric("gauge", "Bytes in the quarantine."),
    "cpu_seconds_total": Metric("counter", "CPU time of the forwarder."),
    "resident_bytes": Metric("gauge", "Largest resident memory of the forwarder."),
    "info": Metric("gauge", "The forwarder's version.", "version"),
}


class Health:
    """Counters and gauges of one forwarder. Several threads may use them."""

    def __init__(self) -> None:
        """Start all counters without a label at zero."""
        self._lock = threading.Lock()
        self._logged: set[str] = set()
        # rate() misses the first increase of a counter that appears with it. Label values are
        # unknown before they occur.
        self._values: dict[tuple[str, str], float] = {
            (name, ""): 0.0
            for name, metric in METRICS.items()
            if metric.kind == "counter" and metric.label is None
        }
        self.set("info", 1, __version__)

    def add(self, name: str, amount: float = 1, label: str = "") -> None:
        """Add ``amount`` to the counter ``name``."""
        with self._lock:
            self._values[name, label] = self._values.get((name, label), 0.0) + amount

    def set(self, name: str, value: float, label: str = "") -> None:
        """Set the gauge ``name`` to ``value``."""
        with self._lock:
            self._values[name, label] = value

    def value(self, name: str, label: str = "") -> float:
        """Return the current value of a counter or gauge, or zero if it was never set."""
        with self._lock:
            return self._values.get((name, label), 0.0)

    def log_once(self, text: str, error: Exception) -> None:
        """Log a failure that comes back in each pass, once for each error."""
        if str(error) not in self._logged:
            self._logged.add(str(error))
            _log.warning(text, error)

    def exposition(self) -> str:
        """Return all metrics in Prometheus' text format."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.set("cpu_seconds_total", usage.ru_utime + usage.ru_stime)
        self.set("resident_bytes", usage.ru_maxrss * 1024)
        with self._lock:
            values = sorted(self._values.items())
        lines: list[str] = []
        for name, metric in METRICS.items():
            lines += _family(name, metric, [(key[1], v) for key, v in values if key[0] == name])
        return "\n".join(lines) + "\n"


def _family(name: str, metric: Metric, values: list[tuple[str, float]]) -> list[str]:
    if not values:
        return []
    full = _PREFIX + name
    lines = [f"# HELP {full} {metric.help}", f"# TYPE {full} {metric.kind}"]
    for label, value in values:
        labels = f'{{{metric.label}="{label}"}}' if metric.label else ""
        lines.append(f"{full}{labels} {value:.15g}")
    return lines


def write_textfile(path: str, text: str) -> None:
    """Replace the file at ``path`` in one step, readable for all. Raise OSError if that fails."""
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o644)  # the service's umask is stricter
            file.write(text)
        os.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
