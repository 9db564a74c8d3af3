"""The service: whether the collector keeps up, errors, and costs."""

from __future__ import annotations

from dashboards import cost
from dashboards.model import SITE, Dashboard, Panel, Query
from infra.site.cost import prices

OPERATION = "storage_operation_duration_seconds"
LISTED = f"list prices of {prices()['region']}, {prices()['as_of']}"


def _latest(metric: str) -> str:
    return f"max({metric}{{{SITE}}})"


def _rate(metric: str, window: str = "5m") -> str:
    return f"rate({metric}{{{SITE}}}[{window}])"


def _scraped(metric: str) -> str:
    """Return Prometheus' own metric of the scrapes of hpcobs, whatever the scrape job's name."""
    return f"{metric}{{{SITE}}} and on (instance) hpc_job_total{{{SITE}}}"


DASHBOARD = Dashboard(
    uid="hpcobs-service",
    title="hpcobs / The service",
    description="Whether the collector keeps up, errors, and costs.",
    panels=(
        Panel(
            title="Time since the collector's last run", kind="stat", width=6, height=4, unit="s",
            description="The longest time of the chosen sites.",
            thresholds=((180, "orange"), (600, "red")),
            queries=(
                Query(f"time() - min(hpc_exporter_last_collect_timestamp_seconds{{{SITE}}})"),
            ),
        ),
        Panel(
            title="Collector lag", kind="stat", width=6, height=4, unit="s",
            description="Age of the oldest batch in the collector's last run.",
            thresholds=((120, "orange"), (600, "red")),
            queries=(Query(_latest("hpc_collector_lag_seconds")),),
        ),
        Panel(
            title="Batches in the queue", kind="stat", width=6, height=4,
            queries=(Query(_latest("hpc_collector_queue_depth")),),
        ),
        Panel(
            title="Dead letters", kind="stat", width=6, height=4, thresholds=((1, "red"),),
            queries=(Query(_latest("hpc_collector_dead_letters")),),
        ),
        Panel(
            title="Samples", unit="cps",
            description="Duplicates are normal after an outage. Each rejected sample has a reason.",
            queries=(
                Query(f"sum({_rate('hpc_collector_samples_total')})", "stored"),
                Query(f"sum({_rate('hpc_collector_duplicates_total')})", "duplicates"),
                Query(f"sum({_rate('hpc_collector_rejected_total')})", "rejected"),
            ),
        ),
        Panel(
            title="New jobs", unit="cps",
            queries=(Query(f"sum({_rate('hpc_job_total', '15m')})", "jobs"),),
        ),
        Panel(
            title="Storage operations, 99th percentile", unit="s",
            queries=(
                Query(
                    f"histogram_quantile(0.99, sum by (le, operation)"
                    f" ({_rate(f'{OPERATION}_bucket')}))",
                    "{{operation}}",
                ),
            ),
        ),
        Panel(
            title="Storage operations", unit="ops",
            queries=(
                Query(f"sum by (operation) ({_rate(f'{OPERATION}_count')})", "{{operation}}"),
            ),
        ),
        Panel(
            title="Storage errors", unit="ops",
            description="not_found and conflict are normal results, not faults.",
            queries=(
                Query(
                    f"sum by (error_type) ({_rate('storage_operation_errors_total')})",
                    "{{error_type}}",
                ),
            ),
        ),
        Panel(
            title="Time in the database", unit="percentunit",
            description="Seconds of storage operations per second, by which to size the instance.",
            queries=(Query(f"sum({_rate(f'{OPERATION}_sum')})", "busy"),),
        ),
        Panel(
            title="Expired data that are kept", unit="s", width=24,
            description="A run of retention deletes one day of each table at most. clocks_differ"
            " and clock_ahead need an operator.",
            queries=(
                Query(
                    f"max by (reason) (hpc_retention_held_seconds{{{SITE}}})", "{{reason}}"
                ),
            ),
        ),
        Panel(
            title="Costs of a month at this rate, without the database", unit="currencyUSD",
            width=24,
            description=f"Estimated from {LISTED}. docs/cost.md has the costs of the database.",
            queries=cost.queries(),
        ),
        Panel(
            title="Duration of a scrape", unit="s",
            queries=(Query(f"max({_scraped('scrape_duration_seconds')})", "longest"),),
        ),
        Panel(
            title="Series in a scrape", thresholds=((250_000, "red"),),
            description="The load on Prometheus. A response holds about 350,000 series:"
            " scrape larger sites in shards.",
            queries=(Query(f"max({_scraped('scrape_samples_scraped')})", "largest"),),
        ),
    ),
)  # fmt: skip
