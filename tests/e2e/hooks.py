"""Recorded hook calls, converted to the events that hpcobs's hooks send."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "fixtures" / "hooks-22.05.jsonl"
CANCELLING = ("9", "15")
SOURCES = {
    "prolog_slurmctld": "prolog_slurmctld",
    "prolog_slurmd": "prolog",
    "epilog_slurmctld": "epilog_slurmctld",
    "epilog_slurmd": "epilog",
}


@dataclass(frozen=True)
class Hook:
    """One call of a hook: its time and its environment."""

    at: datetime
    env: dict[str, str]

    @property
    def job_id(self) -> str:
        return self.env["SLURM_JOB_ID"]

    @property
    def node(self) -> str | None:
        """The calling node, None for the controller."""
        return self.env.get("SLURMD_NODENAME")

    @property
    def source(self) -> str:
        return SOURCES[self.env["SLURM_SCRIPT_CONTEXT"]]

    @property
    def starts(self) -> bool:
        return self.source.startswith("prolog")

    @property
    def path(self) -> str:
        return f"/v1/events/job-{'started' if self.starts else 'finished'}"

    @property
    def event(self) -> dict[str, Any]:
        """The event's body."""
        return started(self) if self.starts else finished(self)


def recorded(*, last_at: datetime) -> list[Hook]:
    """Return the recorded calls in order, shifted in time so that the last was at ``last_at``."""
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    moved = last_at - datetime.fromtimestamp(rows[-1]["t"], UTC)
    return [Hook(datetime.fromtimestamp(row["t"], UTC) + moved, row["env"]) for row in rows]


def again(hook: Hook, *, job_id: str, later: timedelta) -> Hook:
    """Return the same call for another job, later."""
    return Hook(hook.at + later, {**hook.env, "SLURM_JOB_ID": job_id})


def started(hook: Hook) -> dict[str, Any]:
    env = hook.env
    return common(hook) | known(
        partition=env["SLURM_JOB_PARTITION"],
        account=env.get("SLURM_JOB_ACCOUNT"),
        name=env.get("SLURM_JOB_NAME"),
        array_job_id=env.get("SLURM_ARRAY_JOB_ID"),
        array_task_id=env.get("SLURM_ARRAY_TASK_ID"),
        cpu_allocation=cpus(env["SLURM_JOB_CPUS_PER_NODE"]),
    )


def finished(hook: Hook) -> dict[str, Any]:
    exit_code, signal = hook.env["SLURM_JOB_EXIT_CODE2"].split(":")
    state = "completed" if (exit_code, signal) == ("0", "0") else "failed"
    state = "cancelled" if signal in CANCELLING else state
    return common(hook) | {
        "final_state": state,
        "exit_code": int(exit_code),
        "signal": int(signal),
    }


def common(hook: Hook) -> dict[str, Any]:
    env = hook.env
    return known(
        job_id=hook.job_id,
        user=env["SLURM_JOB_USER"],
        node_list=env.get("SLURM_NODELIST") or env["SLURM_JOB_NODELIST"],
        node=hook.node,
        timestamp=hook.at.isoformat(),
        cluster_name=env["SLURM_CLUSTER_NAME"],
        restart_count=int(env["SLURM_JOB_RESTART_COUNT"]),
        source=hook.source,
    )


def cpus(text: str) -> int:
    """Return the sum of Slurm's ``4(x2),2``."""
    total = 0
    for group in text.split(","):
        number, _, times = group.partition("(x")
        total += int(number) * int(times.rstrip(")") or 1)
    return total


def known(**values: Any) -> dict[str, Any]:
    """Return the values without those that Slurm does not set: None and ``(null)``."""
    return {name: value for name, value in values.items() if value not in (None, "(null)")}
