"""The ``collector`` function: ``functions.collector.handler.lambda_handler``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger

from hpcobs import bootstrap

logger = Logger(service="hpcobs-collector")


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Drain the queue for as long as this invocation may run."""
    report = asdict(
        bootstrap.collection().run(lambda: context.get_remaining_time_in_millis() / 1000)
    )
    logger.info("collected", report=report)
    return report
