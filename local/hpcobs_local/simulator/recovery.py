"""Jobs that an earlier run of the simulated cluster left in the service.

The cluster lives in the simulator's memory. After a restart the service still lists its jobs as
running or pending, so they are ended before new ones start.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hpcobs.domain.events import SchedulerJob
from hpcobs.domain.states import from_slurm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_local.simulator.client import Client

FIRST_JOB_ID = 1001
PAGE = 1000
REASON = "the simulated cluster was restarted"
END_STATES = {"running": "NODE_FAIL", "pending": "CANCELLED"}


def next_job_id(client: Client) -> int:
    """Return a number above those of all earlier jobs, FIRST_JOB_ID if there are none."""
    page = client.get("/v1/jobs", limit=PAGE)
    used = [int(job["id"]) for job in page["jobs"] if job["id"].isdecimal()]
    return max([FIRST_JOB_ID - 1, *used]) + 1


def leftovers(client: Client, cluster_name: str) -> list[SchedulerJob]:
    """Return the simulated jobs that the service still lists as active, each with its end.

    Their simulated nodes no longer exist, and how they ended is unknown. So running jobs end with
    NODE_FAIL at their last sample, pending ones with CANCELLED, and none as completed.
    """
    return [
        _ended(job, END_STATES[state])
        for state in END_STATES
        for job in _jobs_in_state(client, state, cluster_name)
        if job.get("scheduler", {}).get("type") == "mock"
    ]


def _jobs_in_state(client: Client, state: str, cluster_name: str) -> Iterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/v1/jobs", state=state, cluster=cluster_name, limit=PAGE, **cursor)
        yield from page["jobs"]
        if not page.get("next_cursor"):
            return
        cursor = {"cursor": page["next_cursor"]}


def _ended(job: dict[str, Any], raw_state: str) -> SchedulerJob:
    now = datetime.now(UTC)
    scheduler = job["scheduler"]
    return SchedulerJob(
        job_id=scheduler["external_job_id"],
        user=job["user"],
        state=from_slurm(raw_state),
        raw_state=raw_state,
        observed_at=now,
        nodes=tuple(job["nodes"]),
        submit_time=_time(scheduler.get("submit_time")),
        start_time=_time(job["start_time"]),
        # Without a sample nothing shows when the job ended, so it ends now.
        end_time=_time(job.get("last_sample_at")) or now,
        state_reason=REASON,
        restart_count=job["restart_count"],
        partition=scheduler.get("partition"),
        account=scheduler.get("account"),
        name=job.get("name"),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
