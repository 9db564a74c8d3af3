"""The ``retention`` function: ``functions.retention.handler.lambda_handler``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger

from hpcobs import bootstrap

logger = Logger(service="hpcobs-retention")


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run retention, and return its report.

    With ``{"dry_run": true}`` only report what it would delete. With ``{"confirm": true}`` delete
    all that the clocks show to be too old, in one run.
    """
    report = asdict(
        bootstrap.retention().run(
            lambda: context.get_remaining_time_in_millis() / 1000,
            dry_run=event.get("dry_run") is True,
            confirm=event.get("confirm") is True,
        )
    )
    logger.info("retention ran", report=report)
    return report
