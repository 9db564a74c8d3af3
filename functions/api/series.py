"""Routes of a job's series: its samples, and the readings of its GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs import bootstrap
from hpcobs.http import serializers
from hpcobs.http.app import Handlers
from hpcobs.http.response import Response
from hpcobs.http.schemas.jobs import NewSample
from hpcobs.http.schemas.queries import SamplesQuery
from hpcobs.http.validation import parse_body, parse_query

if TYPE_CHECKING:
    from hpcobs.http.request import Request

handlers = Handlers("api")


@handlers.route("GET /v1/jobs/{jobId}/metrics")
def get_samples(request: Request) -> Response:
    """Return the job's samples, oldest first."""
    job_id = request.job_id
    query = parse_query(SamplesQuery, request.query).to_query()
    points, total = bootstrap.jobs().series(job_id, query, viewer=request.principal.user)
    return Response.json(serializers.series(job_id, points, total))


@handlers.route("POST /v1/jobs/{jobId}/metrics")
def add_sample(request: Request) -> Response:
    """Store one sample: 201, or 200 if it is a duplicate."""
    job_id = request.job_id  # a bad path is rejected before a bad body
    jobs = bootstrap.jobs()
    sample = parse_body(NewSample, request.body).to_sample(job_id, now=jobs.now())
    caller = request.principal
    added = jobs.add_sample(sample, viewer=caller.user, speaker=caller.cluster)
    return Response.json(serializers.sample(sample), status=201 if added else 200)


@handlers.route("GET /v1/jobs/{jobId}/gpus")
def get_gpu_samples(request: Request) -> Response:
    """Return the readings of the job's GPUs, oldest first."""
    job_id = request.job_id
    query = parse_query(SamplesQuery, request.query).to_query()
    points, total = bootstrap.jobs().gpu_series(job_id, query, viewer=request.principal.user)
    return Response.json(serializers.series(job_id, points, total))
