"""Map slurmctld's nodes to the contract's fields."""

from __future__ import annotations

from typing import Any

from hpcobs_forwarder.controller.jobs import present
from hpcobs_forwarder.controller.values import gres_gpus, number, positive, resources, state, text
from hpcobs_forwarder.node_names import is_node_name

_LARGEST_LOAD = 10**17
"""In hundredths. The site rejects a node with a larger one as a whole."""
_BUSY = frozenset({"allocated", "mixed"})


def is_busy(node: dict[str, Any]) -> bool:
    """Return whether jobs have resources of the node."""
    return str(node["state"]).partition("+")[0] in _BUSY


def node_of(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Return the node in the contract's fields, or None without a name or a state."""
    name, base = text(raw.get("name")), state(raw.get("state"))
    if name is None or base is None or not is_node_name(name):
        return None
    # Older versions list the flags (DRAIN, …) beside the state, newer ones in the state.
    flags = raw.get("state_flags")
    flags = flags if isinstance(flags, list) else []
    words = [base, *(flag for flag in flags if isinstance(flag, str))]
    load = number(raw.get("cpu_load"))
    load = None if load is None or load > _LARGEST_LOAD else load
    return present(
        {
            "node": name,
            "state": text("+".join(words).lower()),
            "cpus": positive(raw.get("cpus")),
            "memory_total_mb": positive(raw.get("real_memory")),
            "gpus": _gpus(raw),
            "cpu_load": None if load is None else load / 100,  # Slurm stores hundredths
        }
    )


def _gpus(raw: dict[str, Any]) -> int | None:
    return gres_gpus(raw.get("gres")) or resources(raw.get("tres")).get("gpus")
