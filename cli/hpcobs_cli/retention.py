"""``hpcobs retention``: roll up samples, create partitions, and delete old data."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from hpcobs_cli.database import on_database
from hpcobs_cli.options import DatabaseUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs.service.retention import RetentionReport

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what a run would do.")]
Confirm = Annotated[
    bool,
    typer.Option("--confirm", help="Delete at once what runs would delete later, or hold back."),
]

LIMIT_SECONDS = 3600.0
"""A command has an hour, where the function has its timeout."""

ROWS = {
    "audit": "rows of the audit trail",
    "rejected": "rejected samples",
    "dead": "dead letters",
    "held_starts": "unconfirmed starts",
}
"""What the report's kinds of rows are called."""


def retention(
    *, dry_run: DryRun = False, confirm: Confirm = False, database_url: DatabaseUrl = None
) -> None:
    """Roll up samples and delete old data.

    It also creates partitions for the next days. The schedule does the same every hour. The
    environment sets the limits: METRICS_RETENTION_DAYS, ROLLUP_RETENTION_DAYS and
    AUDIT_RETENTION_DAYS.

    A run deletes at most one day (of roll-ups: one month) of each table, and nothing for which the
    clock is the only evidence. Use --confirm when the clock is right and the limits are as you want
    them. If the clocks of this host and of the database differ, nothing is deleted.
    """
    from hpcobs import bootstrap

    end = time.monotonic() + LIMIT_SECONDS
    with on_database(database_url), _held_days_unlogged():
        report = bootstrap.retention().run(
            lambda: end - time.monotonic(), dry_run=dry_run, confirm=confirm
        )
    for line in _lines(report):
        typer.echo(line)


@contextmanager
def _held_days_unlogged() -> Iterator[None]:
    """Keep the log's line about held days from standard error: the command prints its own."""
    logger = logging.getLogger("hpcobs.service.retention")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _lines(report: RetentionReport) -> Iterator[str]:
    from hpcobs.service.deletion import EXPLANATIONS

    would = "would be " if report.dry_run else ""
    yield from (f"{would}created: {name}" for name in report.made)
    yield f"{would}rolled up: {report.rolled_hours} hours of samples"
    yield from (f"{would}dropped: {name}" for name in report.dropped)
    yield from (f"kept for now, in use or not rolled up: {name}" for name in report.busy)
    for what, count in report.deleted.items():
        yield f"{would}deleted: {count} {ROWS[what]}"
    for held in report.held:
        yield f"held: {held.days:.0f} days of {held.table}, {EXPLANATIONS[held.reason]}"
    if not report.finished:
        yield "not finished: run the command again"
