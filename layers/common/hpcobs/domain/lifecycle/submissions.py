"""Distinguish the submissions of one job id: Slurm uses an id again.

That happens after the highest id, with another FirstJobId, or after ``slurmctld -c``. A submission
is a job of its own. The controller reports the submit time, which identifies it. Hooks do not, so
that user, end and start decide, and where these do not, the controller's next report does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from hpcobs.domain.events import RunEnd
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.runs import end_run
from hpcobs.domain.lifecycle.takeover import CLOCK_SKEW
from hpcobs.domain.samples import LATE_SAMPLE, SUBMISSION_SKEW
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpcobs.domain.events import JobFinished
    from hpcobs.domain.jobs import Job

LATE_START = timedelta(minutes=10)
"""After the end of a run, no start of the same run comes this late, whatever the hosts' clocks."""

FORGOTTEN_AFTER = timedelta(days=1)
"""Slurm forgets an ended job after MinJobAge, minutes. A start so late is of another submission."""

_NEXT = timedelta(microseconds=1)

REUSED = "JobIdReused"
"""The reason in a job whose end was not reported before its id was used again."""


class Relation(Enum):
    """How a message relates to a stored submission of its job id."""

    SAME = auto()
    EARLIER = auto()
    LATER = auto()
    UNSURE = auto()


def submitted_at(job: Job) -> datetime:
    """Return when the job was submitted, or its start where no source reported that."""
    submit_time = job.scheduler.submit_time if job.scheduler else None
    # A requeue sets a new submit time. What identifies a submission stays.
    return job.submission_at or submit_time or job.start_time


def id_of_submission(job_id: str, moment: datetime) -> str:
    """Return the id of an earlier submission: ``<id>@<yyyymmddThhmmssZ>``."""
    return f"{job_id}@{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def is_submission(job: Job, job_id: str) -> bool:
    """Return whether ``job_id`` is the id of this submission, with or without its time."""
    plain, _, _ = job.id.partition("@")
    return job_id in (job.id, id_of_submission(plain, submitted_at(job)))


def find(
    submissions: Sequence[Job], relate: Callable[[Job], Relation]
) -> tuple[Job | None, Relation]:
    """Return the submission that a message is about, and the relation to the latest one.

    ``submissions`` are those of one id, latest first. The job is None if the submission is not
    stored.
    """
    latest, *earlier = submissions
    relation = relate(latest)
    if relation is not Relation.EARLIER:
        return (latest if relation is Relation.SAME else None), relation
    same = (job for job in earlier if relate(job) is Relation.SAME)
    return next(same, None), relation


def of_view(job: Job, view: Job, *, restart_known: bool) -> Relation:
    """Return how the controller's view relates to a stored job of the same id."""
    submitted = view.scheduler.submit_time if view.scheduler else None
    stored = job.scheduler.submit_time if job.scheduler else None
    if job.run_by is Precedence.CLAIM:
        return Relation.SAME
    if submitted is None:
        return _of_view_without_submit_time(job, view)
    if stored is None:
        return _of_unknown_submission(job, view, submitted, restart_known=restart_known)
    if _in_seconds(submitted) == _in_seconds(stored):
        return Relation.SAME
    if submitted > stored:
        requeued = _is_requeued(job, view, submitted, restart_known=restart_known)
        return Relation.SAME if requeued else Relation.LATER
    return _of_earlier_submit_time(job, view, restart_known=restart_known)


def _of_earlier_submit_time(job: Job, view: Job, *, restart_known: bool) -> Relation:
    if view.user != job.user or job.restart_count == 0:
        return Relation.EARLIER
    # An earlier run of the same submission: a history lists each with its own submit time.
    if not restart_known:
        return Relation.UNSURE
    return Relation.SAME if view.restart_count < job.restart_count else Relation.EARLIER


def _of_view_without_submit_time(job: Job, view: Job) -> Relation:
    if view.user == job.user or job.run_by is not Precedence.CONTROLLER_SYNC:
        return Relation.SAME if view.waits else of_start(job, view)
    # A job never changes its user.
    later = view.start_time > submitted_at(job)
    return Relation.LATER if later else Relation.EARLIER


def _in_seconds(moment: datetime) -> datetime:
    # Slurm's times have whole seconds. A client may add a fraction.
    return moment.replace(microsecond=0)


def _of_unknown_submission(
    job: Job, view: Job, submitted: datetime, *, restart_known: bool
) -> Relation:
    """Relate a view to a job that only hooks have reported, or whose next run hooks began."""
    if submitted <= job.start_time + CLOCK_SKEW:
        # A job of another user that ended before this view was one of an earlier submission.
        ended_before = job.end_time is not None and job.end_time < view.start_time
        if view.user != job.user and ended_before:
            return Relation.LATER
        return Relation.SAME
    requeued = _is_requeued(job, view, submitted, restart_known=restart_known)
    return Relation.SAME if requeued else Relation.LATER


def _is_requeued(job: Job, view: Job, submitted: datetime, *, restart_known: bool) -> bool:
    """Return whether a later submit time is that of a requeue: Slurm sets it anew."""
    if view.user != job.user:
        return False
    if job.end_time is not None and submitted - job.end_time > FORGOTTEN_AFTER:
        return False
    if restart_known and view.restart_count > job.restart_count:
        return True
    # The stored run was reported without the submit time of its requeue. An end that only hooks
    # reported may be that of the run before.
    is_open = not job.state.is_terminal or job.ended_by is not Precedence.CONTROLLER_SYNC
    return is_open and (not restart_known or view.restart_count == job.restart_count > 0)


def of_start(job: Job, incoming: Job) -> Relation:
    """Return how a start without a submit time relates to a stored job of the same id."""
    started = incoming.start_time
    same_user = incoming.user == job.user
    if _is_before(job, started):
        late_start = same_user and incoming.restart_count < job.restart_count
        return Relation.SAME if late_start else Relation.EARLIER
    if job.run_by is Precedence.CLAIM or job.end_time is None or job.start_estimated:
        return Relation.SAME
    after_end = started - job.end_time
    is_later = after_end > timedelta() if not same_user else after_end > LATE_START
    if not is_later or (same_user and incoming.restart_count > job.restart_count):
        return Relation.SAME
    # A weak source's word suffices only where the controller cannot know the stored job any more.
    believed = incoming.run_by >= job.run_by or after_end > FORGOTTEN_AFTER
    return Relation.LATER if believed else Relation.UNSURE


def of_finish(job: Job, event: JobFinished) -> Relation:
    """Return how an end relates to a stored job of the same id."""
    if _is_before(job, event.timestamp):
        return Relation.EARLIER
    if event.user in (None, job.user) or job.run_by is Precedence.CLAIM:
        return Relation.SAME
    if job.end_time is None or event.timestamp < job.end_time:
        return Relation.EARLIER
    believed = event.precedence >= job.run_by
    return Relation.LATER if believed and event.nodes else Relation.UNSURE


def _is_before(job: Job, moment: datetime) -> bool:
    """Return whether a moment lies before the job was submitted, if that time is known."""
    submitted = job.submission_at or (job.scheduler.submit_time if job.scheduler else None)
    return submitted is not None and moment < submitted - CLOCK_SKEW


def supersede(job: Job, submissions: Sequence[Job], *, plain_id: str, by: datetime) -> Job:
    """Return the job under the id of its submission, ended if no end was reported before.

    ``submissions`` are all of this id. ``by`` is when the next one was submitted.
    """
    # A submission is earlier than the next one, also where only its start is known, and is later.
    moment = min(submitted_at(job), by - timedelta(seconds=1))
    taken = {known.id for known in submissions}
    renamed = replace(
        job, id=free_id(plain_id, moment, taken), stored_as=job.key, submission_at=moment
    )
    return end_unreported(renamed, by)


def end_unreported(job: Job, by: datetime) -> Job:
    """Return the job, ended by the submission at ``by`` unless a source reported its end."""
    reason = job.scheduler.state_reason if job.scheduler else None
    unreported = reason == REUSED and job.ended_by is Precedence.CLAIM
    if job.state.is_terminal and not (unreported and job.end_time and job.end_time > by):
        return job
    latest = max(job.start_time, job.usage.last_sample_at or job.start_time)
    # CLAIM: any source that still reports the true end corrects this one.
    end = RunEnd(ended_at=min(latest, by), state=JobState.FAILED, by=Precedence.CLAIM)
    ended = end_run(job, end)
    return replace(
        ended, scheduler=ended.scheduler and replace(ended.scheduler, state_reason=REUSED)
    )


def neighbours(submissions: Sequence[Job], moment: datetime) -> tuple[Job | None, Job]:
    """Return the submissions before and after a moment, of those of one id, latest first.

    The latest one counts as after it.
    """
    place = max(1, sum(submitted_at(job) > moment for job in submissions))
    return next(iter(submissions[place:]), None), submissions[place - 1]


def no_samples_since(job: Job, after: Job) -> datetime | None:
    """Return the time from which no sample counts for a job, or None if it has not ended.

    ``after`` is the next submission. The rule is that of ``job_of_sample`` (migration 0007).
    """
    if job.end_time is None:
        return None
    first_of_next = submitted_at(after) - SUBMISSION_SKEW
    last = max(job.end_time, min(job.end_time + LATE_SAMPLE, first_of_next - _NEXT))
    return last + _NEXT


def free_id(plain_id: str, moment: datetime, taken: set[str]) -> str:
    """Return the id of a submission at ``moment``, or of the next second that is not ``taken``."""
    while (found := id_of_submission(plain_id, moment)) in taken:
        moment += timedelta(seconds=1)
    return found
