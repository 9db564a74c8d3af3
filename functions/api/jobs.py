"""Routes of jobs. A user's token reads and changes that user's jobs only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs import bootstrap
from hpcobs.domain.errors import ForbiddenError
from hpcobs.http import serializers
from hpcobs.http.app import Handlers
from hpcobs.http.response import Response
from hpcobs.http.schemas.jobs import JobChanges, NewJob
from hpcobs.http.schemas.queries import JobsQuery
from hpcobs.http.validation import parse_body, parse_query

if TYPE_CHECKING:
    from hpcobs.domain.jobs import Job
    from hpcobs.http.request import Request
    from hpcobs.service.jobs import Jobs

SOURCE = "api"

handlers = Handlers("api")


def _response(job: Job, jobs: Jobs, *, status: int = 200) -> Response:
    view = serializers.job(job, now=jobs.now(), stale_after=jobs.stale_after)
    return Response.json(view, status=status)


@handlers.route("GET /v1/jobs")
def list_jobs(request: Request) -> Response:
    """Return a page of jobs, newest first."""
    query = parse_query(JobsQuery, request.query)
    jobs = bootstrap.jobs()
    found = jobs.page(
        query.to_filter(),
        limit=query.limit,
        offset=query.offset,
        after=query.position(),
        viewer=request.principal.user,
    )
    page = serializers.page(
        found,
        limit=query.limit,
        offset=query.offset,
        now=jobs.now(),
        stale_after=jobs.stale_after,
    )
    return Response.json(page)


@handlers.route("POST /v1/jobs")
def create_job(request: Request) -> Response:
    """Add a running job."""
    body = parse_body(NewJob, request.body)
    # Other routes hide foreign jobs as 404. Here the caller names the user, so 403 reveals nothing.
    if request.principal.user not in (None, body.user):
        raise ForbiddenError("a user's token may only add that user's jobs")
    origin = bootstrap.origin()
    request.check_cluster(body.cluster_name, [body.id], home_cluster=origin.home_cluster)
    jobs = bootstrap.jobs()
    job = body.to_job(origin, now=jobs.now())
    return _response(jobs.create(job, request.audit(default_source=SOURCE)), jobs, status=201)


@handlers.route("GET /v1/jobs/{jobId}")
def get_job(request: Request) -> Response:
    """Return one job."""
    job_id = request.job_id
    jobs = bootstrap.jobs()
    return _response(jobs.get(job_id, viewer=request.principal.user), jobs)


@handlers.route("PATCH /v1/jobs/{jobId}")
def patch_job(request: Request) -> Response:
    """Change a job that has not ended."""
    job_id = request.job_id
    patch = parse_body(JobChanges, request.body).to_patch()
    audit = request.audit(default_source=SOURCE)
    jobs = bootstrap.jobs()
    caller = request.principal
    after = jobs.patch(job_id, patch, audit, viewer=caller.user, speaker=caller.cluster)
    return _response(after, jobs)


@handlers.route("DELETE /v1/jobs/{jobId}")
def delete_job(request: Request) -> Response:
    """Remove a job and its samples. Its audit trail stays."""
    job_id = request.job_id
    audit = request.audit(default_source=SOURCE)
    caller = request.principal
    bootstrap.jobs().delete(job_id, audit, viewer=caller.user, speaker=caller.cluster)
    return Response(204)


@handlers.route("GET /v1/jobs/{jobId}/audit")
def get_audit(request: Request) -> Response:
    """Return the job's changes, oldest first."""
    job_id = request.job_id
    events = bootstrap.jobs().audit(job_id, viewer=request.principal.user)
    return Response.json(serializers.audit(job_id, events))
