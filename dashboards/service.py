"""hpcobs itself: whether it keeps up, what fails, and what it costs."""

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
    """What Prometheus tells of its scrapes of hpcobs, whatever their job is called."""
    return f"{metric}{{{SITE}}} and on (instance) hpc_job_total{{{SITE}}}"


DASHBOARD = Dashboard(
    uid="hpcobs-service",
    title="hpcobs / The service",
    description="Whether hpcobs keeps up, what fails, and what it costs.",
    panels=(
        Panel(
            title="Collector last ran", kind="stat", width=6, height=4, unit="s",
            description="At the site where that is the longest ago.",
            thresholds=((180, "orange"), (600, "red")),
            queries=(
                Query(f"time() - min(hpc_exporter_last_collect_timestamp_seconds{{{SITE}}})"),
            ),
        ),
        Panel(
            title="Behind by", kind="stat", width=6, height=4, unit="s",
            description="Age of the oldest batch in the collector's last run.",
            thresholds=((120, "orange"), (600, "red")),
            queries=(Query(_latest("hpc_collector_lag_seconds")),),
        ),
        Panel(
            title="Batches waiting", kind="stat", width=6, height=4,
            queries=(Query(_latest("hpc_collector_queue_depth")),),
        ),
        Panel(
            title="Dead letters", kind="stat", width=6, height=4, thresholds=((1, "red"),),
            queries=(Query(_latest("hpc_collector_dead_letters")),),
        ),
        Panel(
            title="Samples", unit="cps",
            description="Duplicates are normal after an outage; rejected ones have a reason.",
            queries=(
                Query(f"sum({_rate('hpc_collector_samples_total')})", "stored"),
                Query(f"sum({_rate('hpc_collector_duplicates_total')})", "known already"),
                Query(f"sum({_rate('hpc_collector_rejected_total')})", "set aside"),
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
            description="not_found and conflict are answers, not faults.",
            queries=(
                Query(
                    f"sum by (error_type) ({_rate('storage_operation_errors_total')})",
                    "{{error_type}}",
                ),
            ),
        ),
        Panel(
            title="Time in the database", unit="percentunit",
            description="Seconds of storage operations in each second: what sizes the instance.",
            queries=(Query(f"sum({_rate(f'{OPERATION}_sum')})", "busy"),),
        ),
        Panel(
            title="Cost of a month at this rate, without the database", unit="currencyUSD",
            width=24,
            description=f"Reckoned from {LISTED}. docs/cost.md has the database's share.",
            queries=cost.queries(),
        ),
        Panel(
            title="What a scrape takes", unit="s",
            queries=(Query(f"max({_scraped('scrape_duration_seconds')})", "the longest"),),
        ),
        Panel(
            title="Series in a scrape", thresholds=((250_000, "red"),),
            description="What hpcobs costs the Prometheus that scrapes it. Some 350,000 fit into an"
            " answer; more are scraped in shards.",
            queries=(Query(f"max({_scraped('scrape_samples_scraped')})", "the largest"),),
        ),
    ),
)  # fmt: skip
