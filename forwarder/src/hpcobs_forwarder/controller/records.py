"""Parse a list of Slurm's records one by one: a record that cannot be parsed costs only itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.values import is_odd_number, is_odd_text, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NUMBERS = (
    *("job_id", "submit_time", "start_time", "end_time", "priority", "time_limit", "restart_cnt"),
    *("array_job_id", "array_task_id", "het_job_id", "suspend_time", "pre_sus_time"),
    *("cpus", "real_memory", "cpu_load"),
)
_TEXTS = (
    *("user_name", "nodes", "name", "partition", "account", "qos", "state_reason", "cluster"),
    *("tres_req_str", "tres_alloc_str", "array_task_string", "gres"),
)


class Faults:
    """What could not be read of a list: values, jobs by their ids, and jobs without an id."""

    def __init__(self) -> None:
        """Start without faults."""
        self.values = 0
        self.job_ids: set[str] = set()
        self.unidentified = 0

    @property
    def count(self) -> int:
        """The number of all faults."""
        return self.values + len(self.job_ids) + self.unidentified


def parsed(
    raws: list[Any], parse: Callable[[dict[str, Any]], dict[str, Any] | None], faults: Faults
) -> list[dict[str, Any]]:
    """Return the records that ``parse`` accepts. Add what could not be read to ``faults``."""
    found = []
    for raw in raws:
        record = _parsed(raw, parse)
        if record is None:
            job_id = positive(raw.get("job_id")) if isinstance(raw, dict) else None
            if job_id is None:
                faults.unidentified += 1
            else:
                faults.job_ids.add(str(job_id))
            continue
        faults.values += _odd_values(raw)
        found.append(record)
    return found


def _parsed(
    raw: Any, parse: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> dict[str, Any] | None:
    if not isinstance(raw, dict):
        return None
    try:
        return parse(raw)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # Each value is checked where it is read. This is for the one that nobody thought of: it
        # must not stop the other jobs.
        return None


def _odd_values(raw: dict[str, Any]) -> int:
    return _count(is_odd_number, (raw.get(name) for name in _NUMBERS)) + _count(
        is_odd_text, (raw.get(name) for name in _TEXTS)
    )


def _count(is_odd: Callable[[Any], bool], values: Iterable[Any]) -> int:
    return sum(1 for value in values if value is not None and is_odd(value))
