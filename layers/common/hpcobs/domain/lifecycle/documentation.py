"""Generate ``docs/precedence.md`` by applying a full message of each source to jobs.

Run ``python -m hpcobs.domain.lifecycle.documentation`` to write it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcobs.domain.events import FinishSource, JobFinished, JobStarted, SchedulerJob, StartSource
from hpcobs.domain.jobs import GpuVendor, Job, Precedence, Resources, SchedulerInfo, SchedulerType
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.job_from_event import Origin, from_scheduler, from_start
from hpcobs.domain.lifecycle.patch import patch_state
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.lifecycle.sync import sync
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[5] / "docs" / "precedence.md"

_OPENING = """\
# Sources and precedence

<!-- Made by `python -m hpcobs.domain.lifecycle.documentation`; change domain/lifecycle instead. -->

Several sources report the same job, in any order and more than once. A source of higher precedence
corrects one of lower precedence, never the other way round.

| precedence | source | route | an end from it |
|---|---|---|---|
"""

_RULES = """
- A restart count, a start time or a node list counts only against sources of the same or a lower
  precedence. A start that a weaker source reports of a later run is kept until a stronger source
  reports the run.
- A source of higher precedence that shows another user, or an earlier run, replaces what a weaker
  one claimed. The samples of the claim go: all of a client's claim, else those of nodes that the
  job does not run on. The audit trail shows this as a `correction`.
- An end of an Epilog is provisional: the job has `end_confirmed: false` until the controller
  reports the end, or 10 minutes have passed. If the controller sees the job run after such an end,
  the job runs again.
- A node's token may only send events of jobs on that node. Once the controller has reported the
  job's nodes, another node changes nothing.
- A job is one submission. Where Slurm uses an id again, `submit_time` distinguishes the jobs, else
  user, start and end. The latest job has the plain id, an earlier one
  `<id>@<yyyymmddThhmmssZ>`, the time of its submission (its start, if no source reported that).

## What each source may set
| mark | the source |
|---|---|
| **sets** | sets the value, also of a job that the controller has reported |
| *fills* | sets it where it is missing, and else of a job that no stronger source has reported |
| clears | removes it, because it described another state |
| first | sets it only for a job, or a run, that no stronger source has reported |
"""

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ORIGIN = Origin(home_cluster="lab")
_INTERNAL = {
    *("id", "usage", "start_estimated", "statistics_since", "run_by", "ended_by", "stored_as"),
    *("scheduler_seen_at", "submission_at", "scheduler_instance", "ingest_version", "cluster_name"),
    *("type", "external_job_id", "extra", "suspended_since"),
}


@dataclass(frozen=True)
class Source:
    """A source: how it makes a job, and how its message changes a stored one."""

    precedence: Precedence
    name: str
    route: str
    end: str
    create: Callable[[], Job] | None
    change: Callable[[Job], Job] | None


def _resources(number: int) -> Resources:
    texts: dict[str, Any] = {"gpu_vendor": GpuVendor.AMD if number else GpuVendor.NVIDIA}
    texts |= {"gpu_devices": (f"GPU-{number}",), "cpus_per_node": (number + 1,)}
    counts: dict[str, Any] = {
        field.name: number + 1
        for field in fields(Resources)
        if field.name.startswith(("requested", "allocated"))
    }
    return Resources(**counts, **texts, cgroup_path=f"/job_{number}")


def _started(source: StartSource, *, restart_count: int = 0) -> JobStarted:
    return JobStarted(
        job_id="1",
        user="user",
        nodes=("n1",),
        timestamp=_AT - timedelta(seconds=9),
        source=source,
        resources=_resources(1),
        partition="new",
        account="new",
        name="new",
        array_job_id="new",
        array_task_id="new",
        restart_count=restart_count,
    )


def _finished(source: FinishSource) -> JobFinished:
    return JobFinished(
        job_id="1",
        final_state=JobState.FAILED,
        timestamp=_AT + timedelta(seconds=9),
        exit_code=1,
        signal=1,
        node="n0" if source is FinishSource.EPILOG else None,
        nodes=("n0",),
        user="user",
        source=source,
    )


def _view(number: int, state: str = "RUNNING") -> Job:
    moment = _AT + timedelta(seconds=number)
    event = SchedulerJob(
        job_id="1",
        user="user",
        state=JobState.RUNNING if state == "RUNNING" else JobState.FAILED,
        raw_state=state,
        observed_at=moment + timedelta(seconds=1),
        nodes=(f"n{number}",),
        submit_time=_AT - timedelta(seconds=60),
        start_time=moment,
        end_time=moment if state != "RUNNING" else None,
        suspended_seconds=number + 1,
        name=f"{number}",
        partition=f"{number}",
        account=f"{number}",
        qos=f"{number}",
        priority=number,
        exit_code=number,
        signal=number,
        state_reason=f"{number}",
        time_limit_minutes=number,
        array_job_id=f"{number}",
        array_task_id=f"{number}",
        restart_count=number,
        resources=replace(
            _resources(number), gpu_vendor=None, gpu_devices=(), cpus_per_node=(), cgroup_path=None
        ),
    )
    return from_scheduler(event, _ORIGIN)


def _started_or_finished(job: Job, *, hook: StartSource, end: FinishSource) -> Job:
    begun = start(job, from_start(_started(hook), _ORIGIN)).job
    return finish(begun, _finished(end)).job


def _claim() -> Job:
    resources = replace(_resources(1), cpus_per_node=())
    claimed = replace(_view(1), run_by=Precedence.CLAIM, resources=resources)
    return replace(claimed, suspended_seconds=0.0)


def _sources() -> list[Source]:
    def created(hook: StartSource, end: FinishSource) -> Job:
        job = from_start(_started(hook, restart_count=1), _ORIGIN)
        return finish(job, replace(_finished(end), node="n1", nodes=("n1",))).job

    def source(precedence: Precedence, hook: StartSource, end: FinishSource, where: str) -> Source:
        return Source(
            precedence,
            where,
            "`POST /v1/events/job-started`, `…/job-finished`",
            "is provisional",
            lambda: created(hook, end),
            lambda job: _started_or_finished(job, hook=hook, end=end),
        )

    return [
        Source(Precedence.CLAIM, "client", "`POST /v1/jobs`", "", _claim, None),
        source(
            Precedence.NODE, StartSource.PROLOG, FinishSource.EPILOG, "nodes: Prolog and Epilog"
        ),
        Source(
            Precedence.API,
            "client",
            "`PATCH /v1/jobs/{jobId}`",
            "stands until the controller reports another",
            None,
            lambda job: patch_state(job, state=JobState.FAILED, now=_AT + timedelta(seconds=9)),
        ),
        source(
            Precedence.CONTROLLER_HOOK,
            StartSource.PROLOG_SLURMCTLD,
            FinishSource.EPILOG_SLURMCTLD,
            "controller: PrologSlurmctld and EpilogSlurmctld",
        ),
        Source(
            Precedence.CONTROLLER_SYNC,
            "controller role: slurmrestd, scontrol, sacct",
            "`POST /v1/events/jobs`",
            "is confirmed",
            lambda: _view(1, "FAILED"),
            lambda job: sync(sync(job, _view(1)).job, _view(1, "FAILED")).job,
        ),
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values of a job, of its resources and its scheduler's facts, by name."""
    found: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if field.name in _INTERNAL:
            continue
        if is_dataclass(part):
            found |= _flat(part, "scheduler." if field.name == "scheduler" else "")
        else:
            found[prefix + field.name] = part
    return found


def _mark(source: Source, name: str) -> str:
    known = _view(0)
    lacking = replace(
        known,
        resources=Resources(),
        name=None,
        array_job_id=None,
        array_task_id=None,
        scheduler=SchedulerInfo(type=SchedulerType.SLURM, external_job_id="1"),
    )
    for job, mark in ((known, "**sets**"), (lacking, "*fills*")):
        if source.change is None:
            break
        before, after = _flat(job)[name], _flat(source.change(job))[name]
        if after != before:
            return "clears" if after is None else mark
    unset = _flat(Job(id="1", user="", state=JobState.PENDING, start_time=_AT, scheduler=None))
    if source.create is not None and _flat(source.create()).get(name) != unset.get(name):
        return "first"
    return ""


def page() -> str:
    """Return the whole page."""
    sources = _sources()
    rows = "".join(
        f"| {one.precedence.value} | {one.name} | {one.route} | {one.end} |\n" for one in sources
    )
    names = [one.name if one.create else f"{one.name} ({one.route})" for one in sources]
    heading = f"\n| field | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    matrix = "".join(
        f"| `{name}` | {' | '.join(_mark(one, name) for one in sources)} |\n"
        for name in _flat(_view(0))
    )
    return _OPENING + rows + _RULES + heading + matrix


if __name__ == "__main__":
    PAGE.write_text(page())
