"""The functions of the local service, with their limits: environments, timeout, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class Functions(Protocol):
    """Anything that runs functions."""

    async def invoke(self, function: str, event: object) -> Any:
        """Return a function's response to an event. Raise InvocationError if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function's settings. It has ``limit`` environments at most, and keeps ``warm`` of them."""

    name: str
    handler: str
    limit: int = 1
    warm: int = 1
    timeout_seconds: float = 15.0
    memory_mb: int = 512


def _function(name: str, *, limit: int = 1, warm: int = 1, timeout_seconds: float) -> Function:
    return Function(
        name=name,
        handler=f"functions.{name}.handler.lambda_handler",
        limit=limit,
        warm=warm,
        timeout_seconds=timeout_seconds,
    )


FUNCTIONS: tuple[Function, ...] = (
    _function("api", limit=3, timeout_seconds=15),
    _function("authorizer", timeout_seconds=5),
    _function("events", limit=3, timeout_seconds=15),
    _function("ingest", limit=2, timeout_seconds=15),
    _function("collector", timeout_seconds=60),
    _function("metrics", timeout_seconds=29),
    # Once an hour: a process that waits for the next run would only take memory.
    _function("retention", warm=0, timeout_seconds=300),
)
"""All functions that are served here, in the order in which they are warmed up."""
