"""The size of a site: rows a day, their bytes, and the instance that can store them.

``python -m infra.site.sizing`` writes the table of docs/sizing.md, which describes how the bytes of
a row were measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.paths import ROOT

PAGE = ROOT / "docs" / "sizing.md"

DAY_SECONDS = 86_400
ROLLUPS_A_DAY = 24 * 12 + 24
"""Roll-ups of a job on a node: one every five minutes, and one every hour."""
AUDIT_ROWS_A_JOB = 2.5
MEMORY_SHARE = 0.75
"""The share of an instance's memory that the keys of a day may fill; the rest is for queries."""

BYTES = {
    "metric_samples": 191,
    "gpu_samples": 243,
    "metric_rollups": 171,
    "gpu_rollups": 369,
    "jobs": 1307 + 451,
    "job_audit_events": 1080,
}
"""Bytes of a row, heap and indexes. A job's include its row in ``job_nodes``."""
KEY_BYTES = {"metric_samples": 50, "gpu_samples": 94}
"""Bytes of a row in the unique index, which each insert has to read."""

INSTANCES = {
    "db.t4g.small": 2,
    "db.t4g.medium": 4,
    "db.m7g.large": 8,
    "db.m7g.xlarge": 16,
    "db.m7g.2xlarge": 32,
    "db.m7g.4xlarge": 64,
}
"""Memory in GiB, smallest first."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """The load of a site, and its retention."""

    nodes: int
    jobs_a_node: float = 4
    gpu_node_share: float = 0.2
    gpus_a_node: int = 4
    interval_seconds: float = 10
    job_hours: float = 4
    samples_days: int = 7
    rollup_days: int = 400
    audit_days: int = 400
    years_of_jobs: float = 1

    @property
    def samples_a_second(self) -> float:
        """Samples of jobs on nodes."""
        return self.nodes * self.jobs_a_node / self.interval_seconds

    @property
    def gpu_readings_a_second(self) -> float:
        """Readings of GPUs."""
        return self._gpus / self.interval_seconds

    @property
    def jobs_a_day(self) -> float:
        """Jobs that start and end."""
        return self.nodes * self.jobs_a_node * 24 / self.job_hours

    @property
    def _gpus(self) -> float:
        return self.nodes * self.gpu_node_share * self.gpus_a_node

    def rows(self) -> dict[str, float]:
        """Return the number of rows in each table when retention has reached its steady state."""
        # Retention drops whole days, so the current day is kept in addition.
        sampled_seconds = (self.samples_days + 1) * DAY_SECONDS
        rollups = ROLLUPS_A_DAY * self.rollup_days
        return {
            "metric_samples": self.samples_a_second * sampled_seconds,
            "gpu_samples": self.gpu_readings_a_second * sampled_seconds,
            "metric_rollups": self.nodes * self.jobs_a_node * rollups,
            "gpu_rollups": self._gpus * rollups,
            "jobs": self.jobs_a_day * 365 * self.years_of_jobs,
            "job_audit_events": self.jobs_a_day * AUDIT_ROWS_A_JOB * self.audit_days,
        }

    def gigabytes(self) -> dict[str, float]:
        """Return the size of each table in 10^9 bytes."""
        return {table: rows * BYTES[table] / 1e9 for table, rows in self.rows().items()}

    def instance(self) -> str:
        """Return the smallest instance whose memory holds the keys of a day.

        Raise ValueError if none is large enough.
        """
        a_day = {
            "metric_samples": self.samples_a_second * DAY_SECONDS,
            "gpu_samples": self.gpu_readings_a_second * DAY_SECONDS,
        }
        keys = sum(rows * KEY_BYTES[table] for table, rows in a_day.items())
        for name, gibibytes in INSTANCES.items():
            if keys <= gibibytes * 2**30 * MEMORY_SHARE:
                return name
        raise ValueError("no instance is large enough for this load: use several sites")


COLUMNS = (
    *("nodes", "running jobs", "samples/s", "GPU readings/s", "jobs a day", "samples"),
    *("GPU readings", "roll-ups", "jobs and audit", "total", "instance"),
)
SITES = (Load(nodes=100), Load(nodes=1000), Load(nodes=5000))


def table() -> str:
    """Return the table of docs/sizing.md."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|--:" * (len(COLUMNS) - 1) + "|---|"]
    return "\n".join([*lines, *map(_row, SITES)])


def _row(load: Load) -> str:
    gigabytes = load.gigabytes()
    shares = (
        gigabytes["metric_samples"],
        gigabytes["gpu_samples"],
        gigabytes["metric_rollups"] + gigabytes["gpu_rollups"],
        gigabytes["jobs"] + gigabytes["job_audit_events"],
        sum(gigabytes.values()),
    )
    cells = [
        f"{load.nodes:,}",
        f"{load.nodes * load.jobs_a_node:,.0f}",
        f"{load.samples_a_second:,.0f}",
        f"{load.gpu_readings_a_second:,.0f}",
        f"{load.jobs_a_day:,.0f}",
        *(f"{share:,.0f} GB" for share in shares),
        f"`{load.instance()}`",
    ]
    return "| " + " | ".join(cells) + " |"


def page(text: str) -> str:
    """Return the page with a current table."""
    between = re.compile(r"(?<=<!-- sites -->\n).*(?=<!-- /sites -->)", re.DOTALL)
    return between.sub(lambda _: f"{table()}\n", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
