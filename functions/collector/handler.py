"""The ``collector`` function: ``functions.collector.handler.lambda_handler``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger

from hpcobs import bootstrap
from hpcobs.domain.errors import InvalidInputError
from hpcobs.ports.rejected import RejectedFilter

logger = Logger(service="hpcobs-collector")


MOST_LISTED = 100
WISHES = ("list", "replay")
CHOICES = ("job_id", "node", "reason")


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """WriteBatch the queue for as long as this invocation may run.

    An operator may ask for samples that were set aside: ``{"rejected": "list"}`` or ``"replay"``,
    with ``job_id``, ``node``, ``reason`` to choose.
    """
    if "rejected" in event:
        return _rejected(event)
    report = asdict(
        bootstrap.collection().run(lambda: context.get_remaining_time_in_millis() / 1000)
    )
    logger.info("collected", report=report)
    return report


def _rejected(event: dict[str, Any]) -> dict[str, Any]:
    wanted = _wanted(event)
    if event["rejected"] == "replay":
        done = asdict(bootstrap.rejected().replay(wanted))
        logger.info("replayed", replay=done)
        return done
    listed, total = bootstrap.rejected().page(wanted, limit=MOST_LISTED)
    return {"rejected": [one.as_json() for one in listed], "total": total}


def _wanted(event: dict[str, Any]) -> RejectedFilter:
    """Which samples are meant; InvalidInputError, for a typing error must not mean all of them."""
    if event["rejected"] not in WISHES:
        raise InvalidInputError("rejected", f"must be one of {', '.join(WISHES)}")
    chosen = {name: value for name, value in event.items() if name != "rejected"}
    for name, value in chosen.items():
        if name not in CHOICES:
            raise InvalidInputError(name, f"is not a known field; there are {', '.join(CHOICES)}")
        if not isinstance(value, str):
            raise InvalidInputError(name, "must be a text")
    return RejectedFilter(**chosen)
