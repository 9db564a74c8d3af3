"""Whether a token's holder may send what it sends: a node speaks for itself, and only so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.errors import ForbiddenError
from hpcobs.domain.events import FinishSource, StartSource

if TYPE_CHECKING:
    from hpcobs.auth.principal import Principal
    from hpcobs.domain.events import JobFinished, JobStarted

OF_NODES = (StartSource.PROLOG, FinishSource.EPILOG)


def check_sender(principal: Principal, event: JobStarted | JobFinished) -> None:
    """ForbiddenError if a node's token sends another's event, or speaks as the controller."""
    node = principal.node
    if node is None:
        return
    if event.node != node:
        raise ForbiddenError(f"this token may only send events of node {node}, named in 'node'")
    if event.source not in OF_NODES:
        raise ForbiddenError("a node's token may not speak for the controller")
    if event.nodes and node not in event.nodes:
        raise ForbiddenError(f"this token may only send events of jobs on node {node}")


def check_controller(principal: Principal) -> None:
    """ForbiddenError if a node's token sends the controller's view."""
    if principal.node is not None:
        raise ForbiddenError("a node's token may not speak for the controller")
