"""The monthly cost of a site at list prices, from its load and what AWS bills for it.

``python -m infra.site.cost`` writes the table of docs/cost.md. Prices are data, in prices.toml.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.paths import ROOT
from infra.site.sizing import DAY_SECONDS, Load

PAGE = ROOT / "docs" / "cost.md"
PRICES = Path(__file__).with_name("prices.toml")

MONTH_DAYS = 365 / 12
MONTH_HOURS = MONTH_DAYS * 24
PUSH_SECONDS = 30
"""The forwarder's default interval between pushes, and between syncs of the controller."""
COLLECT_SECONDS = 30
"""The collector's default interval between passes."""
SAMPLE_BYTES = 60
"""Compressed bytes of a sample in a batch. A GPU's reading has as many."""
BATCH_BYTES = 300
REQUEST_GB_SECONDS = {"ingest": 0.010, "events": 0.015, "authorizer": 0.004, "metrics": 0.8}
"""Memory times duration of one invocation: 1 GB for 10 ms, and so on. Not measured on AWS."""
VERDICT_SECONDS = 60
"""How long the gateway caches the authorizer's decision on a token."""
HOOKS_A_JOB = 4
SQS_REQUESTS_A_PUSH = 1 + 0.1 + 0.1
"""A message is sent alone, and received and deleted in batches of ten."""
COLLECTOR_GB = 1.73
PASS_SECONDS = 2
LAST_PASS_SECONDS = 50
"""The last second of an invocation at which a pass may start."""
SNAPSHOTS_GB = 1 + 1 + 1 + 1.73 + 0.5
"""Memory of the five functions that have snapshots with ``snap_start``."""
RETENTION_GB_SECONDS = 0.5 * 20
SERIES_A_JOB_NODE = 11
SERIES_BYTES = 13
"""Compressed bytes of a series in the scrape."""
ALARMS = 27
LOG_BYTES_A_REQUEST = 900
"""One line of the gateway and one of the function."""


def collector_gb_seconds(collect_seconds: float) -> float:
    """Return the GB-seconds of one invocation, which includes the wait between passes."""
    waited = LAST_PASS_SECONDS // collect_seconds * collect_seconds
    return COLLECTOR_GB * (waited + PASS_SECONDS)


COLLECTOR_GB_SECONDS = collector_gb_seconds(COLLECT_SECONDS)


@cache
def prices() -> dict[str, Any]:
    """Return the price list."""
    return tomllib.loads(PRICES.read_text())


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The load of a site and its options, and what AWS does for it in a month."""

    load: Load
    push_seconds: float = PUSH_SECONDS
    collect_seconds: float = COLLECT_SECONDS
    scrape_seconds: float = 30
    multi_az: bool = False
    proxy: bool = False
    snap_start: bool = False

    @property
    def pushes(self) -> float:
        """Batches of samples."""
        return self._each(self.push_seconds) * self.load.nodes

    @property
    def events(self) -> float:
        """Posts of hooks and of the controller."""
        return self.load.jobs_a_day * MONTH_DAYS * HOOKS_A_JOB + self._each(PUSH_SECONDS)

    @property
    def scrapes(self) -> float:
        """Scrapes by Prometheus."""
        return self._each(self.scrape_seconds)

    @property
    def requests(self) -> float:
        """Requests of all kinds."""
        return self.pushes + self.events + self.scrapes

    def _each(self, seconds: float) -> float:
        return MONTH_DAYS * DAY_SECONDS / seconds

    def bytes_a_push(self) -> float:
        """Return the size of a batch on the queue, in base64."""
        seconds = self.push_seconds / max(1, self.load.nodes)
        readings = self.load.samples_a_second + self.load.gpu_readings_a_second
        return (BATCH_BYTES + SAMPLE_BYTES * readings * seconds) * 4 / 3

    def scrape_bytes(self) -> float:
        """Return the compressed size of one scrape."""
        return self.load.nodes * self.load.jobs_a_node * SERIES_A_JOB_NODE * SERIES_BYTES


def monthly(usage: Usage) -> dict[str, float]:
    """Return dollars a month by service, the largest first."""
    unit = prices()["units"]
    zones = 2 if usage.multi_az else 1
    # 20 % more than the data, as docs/sizing.md recommends.
    disk = 1.2 * sum(usage.load.gigabytes().values()) * unit["rds_gb_month"]
    bill = {
        "RDS: instance": _instance(usage),
        "RDS: storage": disk * zones,
        "API Gateway": usage.requests / 1e6 * unit["http_api_million"],
        "Lambda": _lambda(usage, unit),
        "SQS": _sqs(usage, unit),
        "Network endpoint": _endpoint(usage, unit) * zones,
        "Logs, alarms, key": _watching(usage, unit),
        "Transfer out": usage.scrapes * usage.scrape_bytes() / 1e9 * unit["transfer_out_gb"],
    }
    if usage.proxy:
        vcpus = prices()["vcpus"][usage.load.instance()]
        bill["RDS Proxy"] = vcpus * MONTH_HOURS * unit["proxy_vcpu_hour"]
    return dict(sorted(bill.items(), key=lambda line: -line[1]))


def _endpoint(usage: Usage, unit: dict[str, float]) -> float:
    through = usage.pushes * usage.bytes_a_push() / 1e9 * unit["endpoint_gb"]
    return MONTH_HOURS * unit["endpoint_hour"] + through


def _watching(usage: Usage, unit: dict[str, float]) -> float:
    logs = usage.requests * LOG_BYTES_A_REQUEST / 1e9 * unit["logs_gb"]
    alarms = ALARMS * unit["alarm_month"] + unit["metric_month"] + unit["dashboard_month"]
    return logs + alarms + unit["secret_month"]


def _instance(usage: Usage) -> float:
    price: float = prices()["rds_hour"][usage.load.instance()]
    return price * MONTH_HOURS * (2 if usage.multi_az else 1)


def _lambda(usage: Usage, unit: dict[str, float]) -> float:
    minutes, hours = MONTH_HOURS * 60, MONTH_HOURS
    # The gateway caches the decision on each token. A node uses its token more often than that, so
    # the authorizer runs once per node and VERDICT_SECONDS.
    verdicts = min(usage.requests, usage.load.nodes * MONTH_DAYS * DAY_SECONDS / VERDICT_SECONDS)
    invocations = usage.requests + verdicts + minutes + hours
    gb_seconds = (
        usage.pushes * REQUEST_GB_SECONDS["ingest"]
        + usage.events * REQUEST_GB_SECONDS["events"]
        + usage.scrapes * REQUEST_GB_SECONDS["metrics"]
        + verdicts * REQUEST_GB_SECONDS["authorizer"]
        + minutes * collector_gb_seconds(usage.collect_seconds)
        + hours * RETENTION_GB_SECONDS
    )
    snapshots = SNAPSHOTS_GB * hours * 3600 * unit["snapshot_gb_second"] * usage.snap_start
    price = invocations / 1e6 * unit["lambda_million"] + gb_seconds * unit["lambda_gb_second"]
    return float(price + snapshots)


def _sqs(usage: Usage, unit: dict[str, float]) -> float:
    """Return the costs of SQS, which bills each 64 KB as a request."""
    chunks = max(1.0, usage.bytes_a_push() / 65_536)
    return float(usage.pushes * chunks * SQS_REQUESTS_A_PUSH / 1e6 * unit["sqs_million"])


SITES = (100, 1000, 5000)


def table() -> str:
    """Return the table of docs/cost.md."""
    bills = [monthly(Usage(load=Load(nodes=nodes))) for nodes in SITES]
    heads = [f"{nodes:,} nodes" for nodes in SITES]
    lines = [f"| a month | {' | '.join(heads)} |", "|---|" + "--:|" * len(SITES)]
    lines += [
        f"| {name} | {' | '.join(f'${bill[name]:,.0f}' for bill in bills)} |" for name in bills[-1]
    ]
    sums = " | ".join(f"**${sum(bill.values()):,.0f}**" for bill in bills)
    return "\n".join([*lines, f"| **total** | {sums} |"])


def page(text: str) -> str:
    """Return the page with a current table and date."""
    between = re.compile(r"(?<=<!-- cost -->\n).*(?=<!-- /cost -->)", re.DOTALL)
    listed = f"List prices of {prices()['region']}, {prices()['as_of']}.\n\n"
    return between.sub(lambda _: f"{listed}{table()}\n", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
