"""Apply one message to the submission of a job that it is about, within a transaction.

All submissions of the id are locked first. A message of a later submission than those stored makes
the stored one an earlier job.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.lifecycle.outcome import Outcome, Recompute, Status
from hpcobs.domain.lifecycle.replay import replay
from hpcobs.domain.lifecycle.runs import stored_end
from hpcobs.domain.lifecycle.submissions import (
    Relation,
    end_unreported,
    find,
    free_id,
    neighbours,
    no_samples_since,
    submitted_at,
    supersede,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from hpcobs.domain.audit import AuditInfo
    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job
    from hpcobs.ports.unit_of_work import UnitOfWork

    Decision = Callable[[Job, UnitOfWork], Outcome]


@dataclass(frozen=True, slots=True)
class Message:
    """A message about the job ``job_id``, the id that the cluster uses.

    ``relate`` compares it with a stored submission, ``decide`` applies it to one. ``incoming`` is
    the job as the message describes it, if it describes one. ``held_of`` is the node that sent a
    start. ``whole`` means that the message is a view, which describes a job completely: an earlier
    submission that is not stored is created from it.
    """

    job_id: str
    _: KW_ONLY
    relate: Callable[[Job], Relation]
    decide: Decision
    incoming: Job | None = None
    held_of: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Reuse:
    """A message of a submission that is not stored, and the locked ones that are, latest first."""

    message: Message
    incoming: Job
    submissions: Sequence[Job]
    work: UnitOfWork
    audit: AuditInfo

    def free_id(self) -> str:
        """Return the id of the submission with its time, which no stored job has."""
        taken = {name for known in self.submissions for name in (known.id, known.key)}
        return free_id(self.message.job_id, submitted_at(self.incoming), taken)


def apply(message: Message, work: UnitOfWork, audit: AuditInfo) -> Outcome | None:
    """Lock the job, decide and save. Return None if no job has this id."""
    # All events of one job queue up at this lock, so that the last of several nodes that end at the
    # same moment sees the ends of all others.
    submissions = work.jobs.lock_submissions(message.job_id)
    if not submissions:
        return None
    job, relation = find(submissions, message.relate)
    if job is not None:
        return _save(message, job, message.decide(job, work), work, audit)
    latest, incoming = submissions[0], message.incoming
    if incoming is not None and relation is Relation.LATER:
        return _add_later(_Reuse(message, incoming, submissions, work, audit))
    if incoming is not None and relation is Relation.EARLIER and message.whole:
        return _add_earlier(_Reuse(message, incoming, submissions, work, audit))
    if incoming is not None and relation is Relation.UNSURE and not message.whole:
        work.jobs.hold_start(latest.key, incoming, message.held_of)
    return Outcome(latest, Status.SKIPPED, "message of another submission of this job id")


def _save(
    message: Message, job: Job, outcome: Outcome, work: UnitOfWork, audit: AuditInfo
) -> Outcome:
    if outcome.begins:
        held = work.jobs.unmatched_starts(job.key)
        outcome = replay(outcome, held, unmatched_ends(job, outcome.job, work))
    _keep_unmatched(message, job, outcome, work)
    if outcome.reopened:
        work.jobs.clear_node_ends(job.key)
    if outcome.discard is not None:
        work.jobs.discard(job, outcome.discard)
    if outcome.change is not None:
        work.jobs.save(outcome.job, outcome.change, audit)
    elif outcome.job.scheduler_seen_at != job.scheduler_seen_at:
        work.jobs.record_seen(outcome.job)
    if outcome.recompute is not Recompute.NOTHING:
        work.jobs.recompute(job, outcome.job, outcome.recompute)
    # After `recompute`, which resets the node ends of an earlier run.
    for end in outcome.node_ends:
        work.jobs.record_node_end(job.key, end)
    return outcome


def _keep_unmatched(message: Message, job: Job, outcome: Outcome, work: UnitOfWork) -> None:
    """Keep what may belong to a run that is not reported yet."""
    if outcome.unmatched is not None:
        work.jobs.keep_unmatched(job.key, outcome.unmatched)
    if outcome.held is not None:
        work.jobs.hold_start(job.key, outcome.held, message.held_of)
    if outcome.displaced is not None:
        _keep_run(message, outcome.displaced, work)


def _keep_run(message: Message, job: Job, work: UnitOfWork) -> None:
    """Keep a run that is replaced, and may be true, as messages that await its confirmation."""
    work.jobs.hold_start(job.key, job, message.held_of or ",".join(job.nodes[:1]))
    ends = [*work.jobs.node_ends(job.key), stored_end(job)]
    for end in ends:
        if end is not None:
            work.jobs.keep_unmatched(job.key, end)


def _add_later(reuse: _Reuse) -> Outcome:
    """Store a submission that is later than all others: it gets the plain id."""
    message, work, latest = reuse.message, reuse.work, reuse.submissions[0]
    moment = submitted_at(reuse.incoming)
    earlier = latest
    # Where the latest submission was deleted, the one before has its own id already.
    if latest.id == message.job_id:
        earlier = supersede(latest, reuse.submissions, plain_id=message.job_id, by=moment)
        work.jobs.save(earlier, ChangeType.UPDATE, reuse.audit)
    added = replace(reuse.incoming, stored_as=reuse.free_id(), submission_at=moment)
    work.jobs.create(added, reuse.audit)
    held = work.jobs.unmatched_starts(latest.key)
    work.jobs.release_starts(latest.key)
    # An end describes a job that runs, and ends it. A start, or a view, changes nothing more.
    outcome = replay(message.decide(added, work), held)
    if outcome.job != added:
        outcome = replace(outcome, change=ChangeType.UPDATE)
    _save(message, added, outcome, work, reuse.audit)
    # The collector may have stored samples of it before it was known. They come last, because a
    # save would overwrite the statistics that they change.
    work.jobs.move_samples(earlier, added, since=moment)
    return replace(outcome, status=Status.CREATED, message="job created: its id was used before")


def _add_earlier(reuse: _Reuse) -> Outcome:
    """Store a submission from before the latest one: its id has the time of its submission."""
    work, audit = reuse.work, reuse.audit
    latest, *others = reuse.submissions
    if latest.submission_at is None:
        # From here on, the time of a sample shows which of the two it is of.
        latest = replace(latest, stored_as=latest.key, submission_at=submitted_at(latest))
        work.jobs.save(latest, ChangeType.UPDATE, audit)
    key, moment = reuse.free_id(), submitted_at(reuse.incoming)
    before, after = neighbours([latest, *others], moment)
    moment = min(moment, submitted_at(after) - timedelta(seconds=1))
    added = replace(reuse.incoming, id=key, stored_as=key, submission_at=moment)
    work.jobs.create(added, audit)
    _share_samples(reuse, before, added, after)
    return Outcome(added, Status.CREATED, "job created: its id was used again since")


def _share_samples(reuse: _Reuse, before: Job | None, added: Job, after: Job) -> None:
    """Give the samples that other submissions have to the added one, which they are of."""
    jobs, begin, end = reuse.work.jobs, submitted_at(added), submitted_at(after)
    jobs.move_samples(after, added, until=end)
    if before is not None:
        jobs.move_samples(before, added, since=begin)
        _end_unreported(before, begin, reuse)
    since = no_samples_since(added, after)
    if since is not None:
        # They may be of a submission between the two that is not reported yet.
        jobs.release_samples(added, reuse.message.job_id, since=since)
    _end_unreported(added, end, reuse)


def _end_unreported(job: Job, by: datetime, reuse: _Reuse) -> None:
    """End a submission whose id was used again, at its last sample."""
    # Read again: its samples may have moved.
    stored = reuse.work.jobs.lock(job.id)
    if stored is not None and (ended := end_unreported(stored, by)) != stored:
        reuse.work.jobs.save(ended, ChangeType.UPDATE, reuse.audit)


def unmatched_ends(job: Job, incoming: Job, work: UnitOfWork) -> Sequence[RunEnd]:
    """Return the job's unmatched ends. Only a requeued job can have some: others save the query."""
    if not max(job.restart_count, incoming.restart_count):
        return ()
    return work.jobs.unmatched_ends(job.key)
