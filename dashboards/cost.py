"""The cost on AWS of the observed requests: the figures of ``infra.site.cost`` in PromQL.

The database, logs and alarms are not included: no scraped metric shows their usage.
"""

from __future__ import annotations

from dashboards.model import SITE, Query
from infra.site import cost

UNITS = cost.prices()["units"]
MONTH_SECONDS = cost.MONTH_HOURS * 3600
PUSHES = MONTH_SECONDS / cost.PUSH_SECONDS

SCRAPED = f"scrape_samples_scraped{{{SITE}}}"
OURS = f"and on (instance) hpc_job_total{{{SITE}}}"


def _invocation(gb_seconds: float) -> float:
    dollars: float = UNITS["lambda_million"] / 1e6 + gb_seconds * UNITS["lambda_gb_second"]
    return dollars


def _request(kind: str) -> float:
    dollars: float = UNITS["http_api_million"] / 1e6
    return dollars + _invocation(cost.REQUEST_GB_SECONDS[kind])


def a_node() -> float:
    """Return dollars a month of a node's pushes, their messages, and the checks of its token."""
    messages = cost.SQS_REQUESTS_A_PUSH * UNITS["sqs_million"] / 1e6
    check = _invocation(cost.REQUEST_GB_SECONDS["authorizer"])
    checks = MONTH_SECONDS / cost.VERDICT_SECONDS * check
    return PUSHES * (_request("ingest") + float(messages)) + checks


def a_job() -> float:
    """Return dollars of a job's events."""
    return cost.HOOKS_A_JOB * _request("events")


def a_scrape() -> float:
    """Return dollars of a scrape, without its series."""
    return _request("metrics")


def a_series() -> float:
    """Return dollars for sending one series of one scrape out of AWS."""
    return cost.SERIES_BYTES / 1e9 * float(UNITS["transfer_out_gb"])


def a_site() -> float:
    """Return dollars a month of the collector, which runs each minute, and of controller syncs."""
    minutes = cost.MONTH_HOURS * 60
    return minutes * _invocation(cost.COLLECTOR_GB_SECONDS) + PUSHES * _request("events")


def queries() -> tuple[Query, ...]:
    """Return queries for dollars a month at the current rate, by cause."""
    scrapes = f"sum(count_over_time({SCRAPED}[1h]) {OURS})"
    series = f"sum(sum_over_time({SCRAPED}[1h]) {OURS})"
    hours = cost.MONTH_HOURS
    return (
        # A node without a push for ten minutes causes no costs.
        Query(
            f"count(hpc_node_last_seen_timestamp_seconds{{{SITE}}} > time() - 600)"
            f" * {a_node():.4g}",
            "nodes that push",
        ),
        Query(
            f"sum(rate(hpc_job_total{{{SITE}}}[1d])) * {MONTH_SECONDS * a_job():.4g}",
            "jobs that start and end",
        ),
        Query(
            f"{scrapes} * {hours * a_scrape():.4g} + {series} * {hours * a_series():.4g}",
            "scrapes",
        ),
        Query(f"count(hpc_job_total{{{SITE}}}) * {a_site():.4g}", "collector and controller"),
    )
