"""``hpcobs retention``: roll up, make partitions, drop what is too old; or tell what would go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from hpcobs_cli.database import on_database
from hpcobs_cli.migrate import DatabaseUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs.service.retention import RetentionReport

DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would go; change nothing.")]

LIMIT_SECONDS = 3600.0


def retention(*, dry_run: DryRun = False, database_url: DatabaseUrl = None) -> None:
    """Roll samples up, make room, and let go what is too old.

    That is what the schedule does each hour, by the limits that the environment sets:
    METRICS_RETENTION_DAYS, ROLLUP_RETENTION_DAYS, AUDIT_RETENTION_DAYS.
    """
    from hpcobs import bootstrap

    end = time.monotonic() + LIMIT_SECONDS
    with on_database(database_url):
        report = bootstrap.retention().run(lambda: end - time.monotonic(), dry_run=dry_run)
    for line in _lines(report):
        typer.echo(line)


def _lines(report: RetentionReport) -> Iterator[str]:
    would = "would be " if report.dry_run else ""
    yield from (f"{would}made: {name}" for name in report.made)
    yield f"{would}rolled up: {report.rolled_hours} hours of samples"
    yield from (f"{would}dropped: {name}" for name in report.dropped)
    yield from (f"in use or not rolled up, kept for now: {name}" for name in report.busy)
    for what, count in report.deleted.items():
        yield f"{would}deleted: {count} rows of {what}"
    if not report.finished:
        yield "not finished: run it again"
