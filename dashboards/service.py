"""hpcobs itself: whether it keeps up, what fails, and what it costs Prometheus and the database."""

from __future__ import annotations

from dashboards.model import Dashboard, Panel, Query

OPERATION = "storage_operation_duration_seconds"

DASHBOARD = Dashboard(
    uid="hpcobs-service",
    title="hpcobs / The service",
    description="Whether hpcobs keeps up, what fails, and what it costs.",
    panels=(
        Panel(
            title="Collector last ran", kind="stat", width=6, height=4, unit="s",
            thresholds=((180, "orange"), (600, "red")),
            queries=(Query("time() - max(hpc_exporter_last_collect_timestamp_seconds)"),),
        ),
        Panel(
            title="Behind by", kind="stat", width=6, height=4, unit="s",
            description="Age of the oldest batch in the collector's last run.",
            thresholds=((120, "orange"), (600, "red")),
            queries=(Query("max(hpc_collector_lag_seconds)"),),
        ),
        Panel(
            title="Batches waiting", kind="stat", width=6, height=4,
            queries=(Query("max(hpc_collector_queue_depth)"),),
        ),
        Panel(
            title="Dead letters", kind="stat", width=6, height=4, thresholds=((1, "red"),),
            queries=(Query("max(hpc_collector_dead_letters)"),),
        ),
        Panel(
            title="Samples", unit="cps",
            description="Duplicates are normal after an outage; rejected ones have a reason.",
            queries=(
                Query("sum(rate(hpc_collector_samples_total[5m]))", "stored"),
                Query("sum(rate(hpc_collector_duplicates_total[5m]))", "known already"),
                Query("sum(rate(hpc_collector_rejected_total[5m]))", "set aside"),
            ),
        ),
        Panel(
            title="New jobs", unit="cps",
            queries=(Query("sum(rate(hpc_job_total[15m]))", "jobs"),),
        ),
        Panel(
            title="Storage operations, 99th percentile", unit="s",
            queries=(
                Query(
                    "histogram_quantile(0.99,"
                    f" sum by (le, operation) (rate({OPERATION}_bucket[5m])))",
                    "{{operation}}",
                ),
            ),
        ),
        Panel(
            title="Storage operations", unit="ops",
            queries=(
                Query(f"sum by (operation) (rate({OPERATION}_count[5m]))", "{{operation}}"),
            ),
        ),
        Panel(
            title="Storage errors", unit="ops",
            description="not_found and conflict are answers, not faults.",
            queries=(
                Query(
                    "sum by (error_type) (rate(storage_operation_errors_total[5m]))",
                    "{{error_type}}",
                ),
            ),
        ),
        Panel(
            title="Time in the database", unit="percentunit",
            description="Seconds of storage operations in each second: what sizes the instance.",
            queries=(Query(f"sum(rate({OPERATION}_sum[5m]))", "busy"),),
        ),
        Panel(
            title="What a scrape takes", unit="s",
            queries=(
                Query("max(scrape_duration_seconds and on (instance) hpc_job_total)", "seconds"),
            ),
        ),
        Panel(
            title="Series in a scrape",
            description="What hpcobs costs the Prometheus that scrapes it.",
            queries=(
                Query("sum(scrape_samples_scraped and on (instance) hpc_job_total)", "series"),
            ),
        ),
    ),
)  # fmt: skip
