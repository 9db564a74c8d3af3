"""What could not be read of slurmrestd's records: whole records, and values of the others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hpcobs.scheduler.slurm.values import NOTHING, is_number

if TYPE_CHECKING:
    from msgspec import Struct

logger = logging.getLogger(__name__)

MAX_LISTED = 10
"""Faults in one message: a broken slurmrestd may have one in each of 100,000 records."""

NO_LIMIT = frozenset({"UNLIMITED", "INFINITE", "Partition_Limit", "NONE", "None", "NOT_SET"})
"""Texts that Slurm writes where a number has no value."""
_NUMBERS = frozenset(
    {
        *("job_id", "submit_time", "start_time", "end_time", "suspend_time", "pre_sus_time"),
        *("priority", "time_limit", "restart_cnt", "array_job_id", "array_task_id", "het_job_id"),
        *("cpus", "real_memory", "cpu_load"),
    }
)
_TEXTS = frozenset(
    {
        *("user_name", "cluster", "nodes", "name", "partition", "account", "qos", "state_reason"),
        *("tres_req_str", "tres_alloc_str", "array_task_string", "cluster_name", "gres", "tres"),
    }
)


class FaultLog:
    """Logs what could not be read, once as long as it stays the same."""

    def __init__(self) -> None:
        self._logged: dict[str, frozenset[str]] = {}

    def report(self, what: str, faults: list[str]) -> None:
        """Log the faults of a list, such as ``jobs``, unless they are those of the last one."""
        found = frozenset(faults)
        if found and found != self._logged.get(what):
            listed = "; ".join(sorted(found)[:MAX_LISTED])
            logger.warning(
                "could not read all of slurmrestd's %s (%d): %s", what, len(found), listed
            )
        self._logged[what] = found


def odd_fields(record: Struct) -> list[str]:
    """Return the names of fields with a value of a type that Slurm should not write there."""
    return [
        name
        for name in record.__struct_fields__
        if (name in _NUMBERS and _is_odd_number(getattr(record, name)))
        or (name in _TEXTS and not isinstance(getattr(record, name), str | None))
    ]


def _is_odd_number(value: Any) -> bool:
    if isinstance(value, dict):
        value = value.get("number")
    if isinstance(value, str):
        return value not in NOTHING and value not in NO_LIMIT
    return value is not None and not is_number(value)
