"""The ``collector`` function: ``functions.collector.handler.lambda_handler``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger

from hpcobs import bootstrap
from hpcobs.ports.rejected import RejectedFilter

logger = Logger(service="hpcobs-collector")


MOST_LISTED = 100


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Drain the queue for as long as this invocation may run.

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
    chosen = {name: event[name] for name in ("job_id", "node", "reason") if name in event}
    wanted = RejectedFilter(**chosen)
    if event["rejected"] == "replay":
        done = asdict(bootstrap.rejected().replay(wanted))
        logger.info("replayed", replay=done)
        return done
    listed, total = bootstrap.rejected().page(wanted, limit=MOST_LISTED)
    entries = [
        {**one.sample._asdict(), "rejected_at": one.rejected_at.isoformat()} for one in listed
    ]
    return {"rejected": entries, "total": total}
