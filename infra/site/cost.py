"""What a site costs a month at list prices: what it sends, and what that makes AWS do.

``python -m infra.site.cost`` writes the table of docs/cost.md. Prices are data: infra/site/prices.toml.
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
"""How often a forwarder pushes, as it comes, and the controller's syncs."""
COLLECT_SECONDS = 30
"""Between two passes of the collector, as it comes."""
SAMPLE_BYTES = 60
"""Of a sample in a batch, packed; a GPU's reading as much again."""
BATCH_BYTES = 300
REQUEST_GB_SECONDS = {"ingest": 0.010, "events": 0.015, "authorizer": 0.004, "metrics": 0.8}
"""Memory times time of one invocation: 1 GB for 10 ms, and so on. Reckoned, not measured on AWS."""
VERDICT_SECONDS = 60
"""How long the gateway remembers a verdict on a token."""
HOOKS_A_JOB = 4
SQS_REQUESTS_A_PUSH = 1 + 0.1 + 0.1
"""A message is sent alone, and received and deleted in tens."""
COLLECTOR_GB = 1.73
PASS_SECONDS = 2
LAST_PASS_SECONDS = 50
"""No pass begins later in an invocation of a minute."""
SNAPSHOTS_GB = 1 + 1 + 1 + 1.73 + 0.5
"""Of the five functions that start from snapshots where a site asks for it."""
RETENTION_GB_SECONDS = 0.5 * 20
SERIES_A_JOB_NODE = 11
SERIES_BYTES = 13
"""In the scrape, packed."""
ALARMS = 27
LOG_BYTES_A_REQUEST = 900
"""A line of the gateway, and one of the function."""


def collector_gb_seconds(collect_seconds: float) -> float:
    """Of one invocation a minute: it waits for its last pass, and is paid for waiting."""
    waited = LAST_PASS_SECONDS // collect_seconds * collect_seconds
    return COLLECTOR_GB * (waited + PASS_SECONDS)


COLLECTOR_GB_SECONDS = collector_gb_seconds(COLLECT_SECONDS)


@cache
def prices() -> dict[str, Any]:
    """The price list."""
    return tomllib.loads(PRICES.read_text())


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a site makes AWS do in a month."""

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
        """What hooks and the controller post."""
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
        """A batch as it is queued, in base64."""
        seconds = self.push_seconds / max(1, self.load.nodes)
        readings = self.load.samples_a_second + self.load.gpu_readings_a_second
        return (BATCH_BYTES + SAMPLE_BYTES * readings * seconds) * 4 / 3

    def scrape_bytes(self) -> float:
        """One scrape, packed."""
        return self.load.nodes * self.load.jobs_a_node * SERIES_A_JOB_NODE * SERIES_BYTES


def monthly(usage: Usage) -> dict[str, float]:
    """Dollars a month by service, the largest first."""
    unit = prices()["units"]
    zones = 2 if usage.multi_az else 1
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
    # Each token's verdict is remembered; a node's token is used more often than that lasts.
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
    """Each 64 KB count as a request."""
    chunks = max(1.0, usage.bytes_a_push() / 65_536)
    return float(usage.pushes * chunks * SQS_REQUESTS_A_PUSH / 1e6 * unit["sqs_million"])


SITES = (100, 1000, 5000)


def table() -> str:
    """The table of docs/cost.md."""
    bills = [monthly(Usage(load=Load(nodes=nodes))) for nodes in SITES]
    heads = [f"{nodes:,} nodes" for nodes in SITES]
    lines = [f"| a month | {' | '.join(heads)} |", "|---|" + "--:|" * len(SITES)]
    lines += [
        f"| {name} | {' | '.join(f'${bill[name]:,.0f}' for bill in bills)} |" for name in bills[-1]
    ]
    sums = " | ".join(f"**${sum(bill.values()):,.0f}**" for bill in bills)
    return "\n".join([*lines, f"| **together** | {sums} |"])


def page(text: str) -> str:
    """The page with its table and its date as they must be now."""
    between = re.compile(r"(?<=<!-- cost -->\n).*(?=<!-- /cost -->)", re.DOTALL)
    listed = f"List prices of {prices()['region']}, {prices()['as_of']}.\n\n"
    return between.sub(lambda _: f"{listed}{table()}\n", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
