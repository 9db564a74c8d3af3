"""What an earlier life of the simulated cluster left in the service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hpcobs.domain.events import SchedulerJob
from hpcobs.domain.states import from_slurm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_local.simulator.courier import Courier

FIRST_JOB_ID = 1001
PAGE = 1000
REASON = "the simulated cluster was restarted"
GONE = {"running": "NODE_FAIL", "pending": "CANCELLED"}


def next_job_id(courier: Courier) -> int:
    """A number above those of all earlier jobs; FIRST_JOB_ID if there are none."""
    page = courier.get("/v1/jobs", limit=PAGE)
    used = [int(job["id"]) for job in page["jobs"] if job["id"].isdecimal()]
    return max([FIRST_JOB_ID - 1, *used]) + 1


def leftovers(courier: Courier, cluster_name: str) -> list[SchedulerJob]:
    """The simulated jobs that are still taken to run or wait, as their controller now sees them.

    Their nodes are gone and nothing is known of them since their last sample: that is said, and not
    that they ended well.
    """
    return [
        _gone(job, GONE[state])
        for state in GONE
        for job in _known(courier, state, cluster_name)
        if job.get("scheduler", {}).get("type") == "mock"
    ]


def _known(courier: Courier, state: str, cluster_name: str) -> Iterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = courier.get("/v1/jobs", state=state, cluster=cluster_name, limit=PAGE, **cursor)
        yield from page["jobs"]
        if not page.get("next_cursor"):
            return
        cursor = {"cursor": page["next_cursor"]}


def _gone(job: dict[str, Any], raw_state: str) -> SchedulerJob:
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
        end_time=_time(job.get("last_sample_at")) or now,
        state_reason=REASON,
        restart_count=job["restart_count"],
        partition=scheduler.get("partition"),
        account=scheduler.get("account"),
        name=job.get("name"),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
