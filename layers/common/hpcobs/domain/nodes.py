"""Nodes as the controller describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node in the controller's view. ``state`` is the scheduler's name for it, in lower case.

    ``cluster_name`` None means the home cluster, and ``observed_at`` None means now.
    """

    node: str
    state: str
    cluster_name: str | None = None
    cpus: int | None = None
    memory_total_mb: int | None = None
    gpus: int | None = None
    cpu_load: float | None = None
    observed_at: datetime | None = None
