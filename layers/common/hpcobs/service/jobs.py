"""Jobs as clients read and change them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.errors import (
    ForbiddenError,
    InvalidInputError,
    JobNotFoundError,
    JobTerminalError,
)
from hpcobs.domain.jobs import Usage
from hpcobs.domain.lifecycle.patch import patch_state
from hpcobs.domain.lifecycle.submissions import is_submission
from hpcobs.domain.queries import JobPage
from hpcobs.domain.samples import SampleWindow
from hpcobs.ports.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from hpcobs.domain.audit import AuditEvent, AuditInfo
    from hpcobs.domain.jobs import Job
    from hpcobs.domain.queries import JobFilter, Position, SeriesQuery
    from hpcobs.domain.samples import GpuPoint, Sample, SampleLimits, SamplePoint
    from hpcobs.domain.states import JobState
    from hpcobs.ports.clock import Clock
    from hpcobs.ports.unit_of_work import Repositories, Store, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPatch:
    """A client's changes to a job. None leaves a value unchanged."""

    state: JobState | None = None
    cpu_usage: float | None = None
    memory_usage_mb: int | None = None
    gpu_usage: float | None = None

    @property
    def usage(self) -> dict[str, Any]:
        """The usage values that are not None."""
        given = {
            "cpu_usage": self.cpu_usage,
            "memory_usage_mb": self.memory_usage_mb,
            "gpu_usage": self.gpu_usage,
        }
        return {name: value for name, value in given.items() if value is not None}


class Jobs:
    """The use cases of the jobs routes.

    ``viewer`` is the one user whose jobs the caller may see. For such a caller the jobs of other
    users do not exist (JobNotFoundError), so that a response does not reveal their ids.
    ``speaker`` is the one cluster whose jobs the caller may change (ForbiddenError for others).
    ``stale_after`` is the time without a report after which a running job is stale.
    """

    def __init__(
        self, store: Store, *, kept_days: int, stale_after: timedelta, clock: Clock = utc_now
    ) -> None:
        self.stale_after = stale_after
        self._store = store
        self._kept_days = kept_days
        self._clock = clock

    def now(self) -> datetime:
        """Return the service's time, which runtimes are computed from."""
        return self._clock()

    def create(self, job: Job, audit: AuditInfo) -> Job:
        """Add a job. Raise AlreadyExistsError if its id is taken."""
        self._store.jobs.add(job, audit)
        return job

    def get(self, job_id: str, *, viewer: str | None = None) -> Job:
        """Return the job. Raise JobNotFoundError if there is none, or not for this viewer."""
        return _get_visible(self._store, job_id, viewer)

    def page(
        self,
        query: JobFilter,
        *,
        limit: int,
        offset: int = 0,
        after: Position | None = None,
        viewer: str | None = None,
    ) -> JobPage:
        """Return a page of jobs, newest first. A viewer's page holds only the viewer's jobs."""
        if viewer is not None:
            if query.user not in (None, viewer):
                return JobPage(jobs=(), total=0, next_position=None)
            query = replace(query, user=viewer)
        return self._store.jobs.page(query, limit=limit, offset=offset, after=after)

    def patch(
        self,
        job_id: str,
        patch: JobPatch,
        audit: AuditInfo,
        *,
        viewer: str | None = None,
        speaker: str | None = None,
    ) -> Job:
        """Change state or usage. Raise JobTerminalError if the job has ended."""
        with self._store.transaction() as work:
            job = _lock_visible(work, job_id, viewer)
            _require_cluster(job, speaker)
            after = patch_state(job, state=patch.state, now=self.now())
            after = replace(after, usage=replace(after.usage, **patch.usage))
            if after != job:
                work.jobs.save(after, ChangeType.UPDATE, audit)
            if patch.usage:
                work.jobs.place_usage(job.key, Usage(**patch.usage))
            work.commit()
            return after

    def delete(
        self,
        job_id: str,
        audit: AuditInfo,
        *,
        viewer: str | None = None,
        speaker: str | None = None,
    ) -> None:
        """Delete the job and its samples. Its audit trail stays."""
        job = _get_visible(self._store, job_id, viewer)
        # A job's cluster never changes, so this look before the deletion is enough.
        _require_cluster(job, speaker)
        if not self._store.jobs.delete(job.key, audit, user=viewer):
            raise JobNotFoundError(job_id)

    def add_sample(
        self, sample: Sample, *, viewer: str | None = None, speaker: str | None = None
    ) -> bool:
        """Store one sample, on the job's first node if it names none. Return False for a duplicate.

        Raise JobTerminalError if it was taken after the job's end, InvalidInputError if it is too
        old, of a dropped day, or from the future.
        """
        with self._store.transaction() as work:
            self._require_time(sample, work.samples.limits())
            # The lock keeps the end of the job from changing between this check and the insert.
            job = _lock_visible(work, sample.job_id, viewer)
            _require_cluster(job, speaker)
            if job.end_time is not None and sample.timestamp > job.end_time:
                raise JobTerminalError(job.id, job.state)
            node = sample.node or (job.nodes[0] if job.nodes else "")
            stored = work.samples.add(sample._replace(job_id=job.key, node=node))
            work.commit()
            return stored

    def _require_time(self, sample: Sample, limits: SampleLimits) -> None:
        window = SampleWindow.at(limits, kept_days=self._kept_days, now=self._clock())
        if problem := window.problem(sample.timestamp):
            raise InvalidInputError("timestamp", problem)

    def series(
        self, job_id: str, query: SeriesQuery, *, viewer: str | None = None
    ) -> tuple[Sequence[SamplePoint], int]:
        """Return the job's samples, oldest first, and their total number."""
        job = _get_visible(self._store, job_id, viewer)
        return self._store.samples.series(job.key, query)

    def gpu_series(
        self, job_id: str, query: SeriesQuery, *, viewer: str | None = None
    ) -> tuple[Sequence[GpuPoint], int]:
        """Return the readings of the job's GPUs, oldest first, and their total number."""
        job = _get_visible(self._store, job_id, viewer)
        return self._store.samples.gpu_series(job.key, query)

    def audit(self, job_id: str, *, viewer: str | None = None) -> Sequence[AuditEvent]:
        """Return the job's changes, oldest first, also those of a deleted job.

        An id may be used again, by another user. A viewer gets the changes of the viewer's own job.
        """
        job = _find(self._store.jobs.get, job_id)
        events = self._store.audit.of_job(job.key if job else job_id)
        visible = [event for event in events if viewer in (None, event.snapshot.user)]
        if not visible:
            raise JobNotFoundError(job_id)
        return visible


def _get_visible(store: Repositories, job_id: str, viewer: str | None) -> Job:
    return _require_visible(_find(store.jobs.get, job_id), job_id, viewer)


def _lock_visible(work: UnitOfWork, job_id: str, viewer: str | None) -> Job:
    return _require_visible(_find(work.jobs.lock, job_id), job_id, viewer)


def _find(read: Callable[[str], Job | None], job_id: str) -> Job | None:
    """Return the job, also by the id of its submission where its plain id is enough."""
    plain, _, moment = job_id.partition("@")
    found = read(job_id)
    if found is not None or not moment:
        return found
    job = read(plain)
    return job if job is not None and is_submission(job, job_id) else None


def _require_visible(job: Job | None, job_id: str, viewer: str | None) -> Job:
    if job is None or viewer not in (None, job.user):
        raise JobNotFoundError(job_id)
    return job


def _require_cluster(job: Job, speaker: str | None) -> None:
    if speaker not in (None, job.cluster_name):
        raise ForbiddenError(
            f"this token may only speak for cluster {speaker}, and job {job.id} is of another"
        )
