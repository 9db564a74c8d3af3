"""Routes of jobs. A user's token sees and changes that user's jobs only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs import bootstrap
from hpcobs.domain.errors import ForbiddenError
from hpcobs.http import views
from hpcobs.http.models.jobs import JobChanges, NewJob
from hpcobs.http.models.queries import JobsQuery
from hpcobs.http.replies import empty_reply, json_reply
from hpcobs.http.routing import current, new_router
from hpcobs.http.validation import parse_body, parse_query

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

    from hpcobs.domain.jobs import Job
    from hpcobs.service.jobs import Jobs

SOURCE = "api"

router = new_router()


def _view(job: Job, jobs: Jobs) -> dict[str, Any]:
    return views.job(job, now=jobs.now(), stale_after=jobs.stale_after)


@router.get("/v1/jobs")
def list_jobs() -> Response[str]:
    """A page of jobs, newest first."""
    request = current(router)
    query = parse_query(JobsQuery, request.query)
    jobs = bootstrap.jobs()
    found = jobs.page(
        query.to_filter(),
        limit=query.limit,
        offset=query.offset,
        after=query.position(),
        viewer=request.principal.user,
    )
    page = views.page(
        found,
        limit=query.limit,
        offset=query.offset,
        now=jobs.now(),
        stale_after=jobs.stale_after,
    )
    return json_reply(page)


@router.post("/v1/jobs")
def create_job() -> Response[str]:
    """Add a running job."""
    request = current(router)
    body = parse_body(NewJob, request.body)
    if request.principal.user not in (None, body.user):
        raise ForbiddenError("a user's token may only add that user's jobs")
    jobs = bootstrap.jobs()
    job = body.to_job(bootstrap.origin(), now=jobs.now())
    created = jobs.create(job, request.audit(default_source=SOURCE))
    return json_reply(_view(created, jobs), status=201)


@router.get("/v1/jobs/<job_id>")
def get_job(job_id: str) -> Response[str]:
    """One job."""
    jobs = bootstrap.jobs()
    job = jobs.get(job_id, viewer=current(router).principal.user)
    return json_reply(_view(job, jobs))


@router.patch("/v1/jobs/<job_id>")
def patch_job(job_id: str) -> Response[str]:
    """Change a job that has not ended."""
    request = current(router)
    patch = parse_body(JobChanges, request.body).to_patch()
    audit = request.audit(default_source=SOURCE)
    jobs = bootstrap.jobs()
    job = jobs.patch(job_id, patch, audit, viewer=request.principal.user)
    return json_reply(_view(job, jobs))


@router.delete("/v1/jobs/<job_id>")
def delete_job(job_id: str) -> Response[str]:
    """Remove a job and its samples; its trail stays."""
    request = current(router)
    audit = request.audit(default_source=SOURCE)
    bootstrap.jobs().delete(job_id, audit, viewer=request.principal.user)
    return empty_reply()


@router.get("/v1/jobs/<job_id>/audit")
def get_audit(job_id: str) -> Response[str]:
    """The job's changes, oldest first."""
    events = bootstrap.jobs().audit(job_id, viewer=current(router).principal.user)
    return json_reply(views.audit(job_id, events))
