"""Routes of a job's series: samples, and the readings of its GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs import bootstrap
from hpcobs.http import views
from hpcobs.http.models.jobs import NewSample
from hpcobs.http.models.queries import SamplesQuery
from hpcobs.http.replies import json_reply
from hpcobs.http.routing import current, new_router
from hpcobs.http.validation import parse_body, parse_query

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

router = new_router()


@router.get("/v1/jobs/<job_id>/metrics")
def get_samples(job_id: str) -> Response[str]:
    """The job's samples, oldest first."""
    request = current(router)
    query = parse_query(SamplesQuery, request.query).to_query()
    points, total = bootstrap.jobs().series(job_id, query, viewer=request.principal.user)
    return json_reply(views.series(job_id, points, total))


@router.post("/v1/jobs/<job_id>/metrics")
def add_sample(job_id: str) -> Response[str]:
    """Take in one sample: 201, or 200 if it was there already."""
    request = current(router)
    sample = parse_body(NewSample, request.body).to_sample(job_id)
    added = bootstrap.jobs().add_sample(sample, viewer=request.principal.user)
    return json_reply(views.sample(sample), status=201 if added else 200)


@router.get("/v1/jobs/<job_id>/gpus")
def get_gpu_samples(job_id: str) -> Response[str]:
    """The readings of the job's GPUs, oldest first."""
    request = current(router)
    query = parse_query(SamplesQuery, request.query).to_query()
    points, total = bootstrap.jobs().gpu_series(job_id, query, viewer=request.principal.user)
    return json_reply(views.series(job_id, points, total))
