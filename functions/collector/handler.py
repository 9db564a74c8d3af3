"""The ``collector`` function: ``functions.collector.handler.lambda_handler``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger

from hpcobs import bootstrap
from hpcobs.domain.errors import InvalidInputError
from hpcobs.ports.rejected import RejectedFilter

logger = Logger(service="hpcobs-collector")

# With payloads of up to 64 KiB each, more could exceed Lambda's response of 6 MB.
MAX_LISTED = 100
COMMANDS = ("list", "replay")
FILTERS = ("job_id", "node", "reason")


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Drain the queue for as long as this invocation may run.

    With ``{"rejected": "list"}`` or ``"replay"``, list or replay rejected samples instead, filtered
    by ``job_id``, ``node`` and ``reason``.
    """
    if "rejected" in event:
        return _rejected(event)
    # A function and not a number: the run checks the remaining time again before each step, so that
    # Lambda does not end it in the middle of a pass.
    report = asdict(
        bootstrap.collection().run(lambda: context.get_remaining_time_in_millis() / 1000)
    )
    logger.info("collected", report=report)
    return report


def _rejected(event: dict[str, Any]) -> dict[str, Any]:
    selected = _filter(event)
    if event["rejected"] == "replay":
        report = asdict(bootstrap.rejected().replay(selected))
        logger.info("replayed", replay=report)
        return report
    listed, total = bootstrap.rejected().page(selected, limit=MAX_LISTED)
    return {"rejected": [item.as_json() for item in listed], "total": total}


def _filter(event: dict[str, Any]) -> RejectedFilter:
    """Return the event's filter. Raise InvalidInputError if a field is unknown or no text."""
    # Without this check a typing error in a field's name would select all samples.
    if event["rejected"] not in COMMANDS:
        raise InvalidInputError("rejected", f"must be one of {', '.join(COMMANDS)}")
    given = {name: value for name, value in event.items() if name != "rejected"}
    for name, value in given.items():
        if name not in FILTERS:
            raise InvalidInputError(name, f"is not a known field; there are {', '.join(FILTERS)}")
        if not isinstance(value, str):
            raise InvalidInputError(name, "must be a text")
    return RejectedFilter(**given)
