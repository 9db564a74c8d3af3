"""The ``events`` function: ``functions.events.handler.lambda_handler``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs import bootstrap
from hpcobs.http.app import Handlers, HttpApp
from hpcobs.http.response import Response
from hpcobs.http.schemas.events import FinishedEvent, StartedEvent
from hpcobs.http.schemas.sync import LISTS, StateSync
from hpcobs.http.validation import parse_slurm_body

if TYPE_CHECKING:
    from hpcobs.http.request import Event, Request
    from hpcobs.service.job_events import EventResult

handlers = Handlers("events")


@handlers.route("POST /v1/events/job-started")
def job_started(request: Request) -> Response:
    """Record the start of a job, as one of Slurm's hooks reports it."""
    event = parse_slurm_body(StartedEvent, request.body).to_event()
    request.check_sender(event, home_cluster=bootstrap.settings().cluster_name)
    # The source of the cluster's events is the scheduler. X-Source can only add to it.
    audit = request.audit(default_source=bootstrap.settings().scheduler_backend)
    return Response.json(_result(bootstrap.job_events().job_started(event, audit)))


@handlers.route("POST /v1/events/job-finished")
def job_finished(request: Request) -> Response:
    """Record the end of a job, or of its part on one node, as one of Slurm's hooks reports it."""
    event = parse_slurm_body(FinishedEvent, request.body).to_event()
    request.check_sender(event, home_cluster=bootstrap.settings().cluster_name)
    audit = request.audit(default_source=bootstrap.settings().scheduler_backend)
    return Response.json(_result(bootstrap.job_events().job_finished(event, audit)))


@handlers.route("POST /v1/events/jobs")
def sync_state(request: Request) -> Response:
    """Apply the controller's view, job by job, and return one result per job of the request."""
    request.check_controller()
    body = parse_slurm_body(StateSync, request.body, lists=LISTS)
    entries = body.entries()
    job_ids = [job.job_id for job in entries.jobs]
    home_cluster = bootstrap.settings().cluster_name
    request.check_cluster(body.cluster_name, job_ids, home_cluster=home_cluster)
    audit = request.audit(default_source=bootstrap.settings().scheduler_backend)
    results = bootstrap.job_events().sync(entries.jobs, entries.nodes, audit)
    return Response.json(entries.response_body([_result(result) for result in results]))


def _result(result: EventResult) -> dict[str, str]:
    return {"status": result.status, "job_id": result.job_id, "message": result.message}


app = HttpApp("events", handlers, networks=bootstrap.networks)
bootstrap.before_snapshot(bootstrap.job_events, bootstrap.networks)


def lambda_handler(event: Event, context: Any) -> dict[str, Any]:
    """Respond to a request with events of jobs."""
    return app.handle(event, context)
