"""Slurm's JSON of some jobs and nodes: recorded, and as other versions write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures"
JOBS_JSON = (FIXTURES / "slurmrestd-v0.0.38-jobs.json").read_text()
NODES_JSON = (FIXTURES / "slurmrestd-v0.0.38-nodes.json").read_text()
RECORDED: list[dict[str, Any]] = json.loads(JOBS_JSON)["jobs"]
NODES: list[dict[str, Any]] = json.loads(NODES_JSON)["nodes"]

SACCT = {
    "account": "phys",
    "array": {"job_id": 40, "task_id": {"set": True, "infinite": False, "number": 2}},
    "association": {"user": "ada"},
    "exit_code": {"status": "SIGNALED", "return_code": 0, "signal": {"signal_id": 9, "name": "K"}},
    "het": {"job_id": 39},
    "job_id": 42,
    "name": "x",
    "nodes": "n[1-2]",
    "partition": "main",
    "priority": 7,
    "qos": "normal",
    "state": {"current": "NODE_FAIL", "reason": "None"},
    "time": {"submission": 1, "start": 2, "end": 3, "limit": 60, "elapsed": 1},
    "tres": {
        "requested": [{"type": "cpu", "count": 4}, {"type": "mem", "count": 2048}],
        "allocated": [
            {"type": "cpu", "count": 8},
            {"type": "gres", "name": "gpu", "count": 2},
            {"type": "billing", "count": -2},
        ],
    },
    "user": "",
}


def boxed(value: int | None) -> dict[str, Any]:
    return {"set": value is not None, "infinite": False, "number": value or 0}


def as_newer(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a job of v0.0.38 as v0.0.40 and later write it."""
    counts = ("array_job_id", "array_task_id", "time_limit", "priority", "het_job_id")
    times = ("submit_time", "start_time", "end_time")
    code, signal = raw["exit_code"] >> 8, raw["exit_code"] & 0x7F
    return {
        **raw,
        **{name: boxed(raw[name]) for name in counts + times},
        "job_state": [raw["job_state"]],
        "exit_code": {
            "status": ["SIGNALED" if signal else "ERROR"],
            "return_code": boxed(code),
            "signal": {"id": boxed(signal or None), "name": ""},
        },
    }


def recorded(job_id: int) -> dict[str, Any]:
    return next(raw for raw in RECORDED if raw["job_id"] == job_id)
