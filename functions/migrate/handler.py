"""The ``migrate`` function: ``functions.migrate.handler.lambda_handler``."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from hpcobs import bootstrap

logger = Logger(service="hpcobs-migrate")


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Apply the missing migrations. An error rolls the deployment back."""
    applied = bootstrap.deployment().apply()
    logger.info("migrations applied", applied=applied)
    return {"applied": applied}
