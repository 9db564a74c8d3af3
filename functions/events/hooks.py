"""What Slurm's hooks tell: a job starts, a job or one of its nodes ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs import bootstrap
from hpcobs.http import views
from hpcobs.http.models.events import FinishedEvent, StartedEvent
from hpcobs.http.replies import json_reply
from hpcobs.http.routing import current, new_router
from hpcobs.http.senders import check_sender
from hpcobs.http.validation import parse_body

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

router = new_router()


@router.post("/v1/events/job-started")
def job_started() -> Response[str]:
    """A hook saw a job start."""
    request = current(router)
    event = parse_body(StartedEvent, request.body).to_event()
    check_sender(request.principal, event)
    audit = request.audit(default_source=bootstrap.settings().scheduler_backend)
    result = bootstrap.job_events().job_started(event, audit)
    return json_reply(views.event_result(result))


@router.post("/v1/events/job-finished")
def job_finished() -> Response[str]:
    """A hook saw a job, or one of its nodes, end."""
    request = current(router)
    event = parse_body(FinishedEvent, request.body).to_event()
    check_sender(request.principal, event)
    audit = request.audit(default_source=bootstrap.settings().scheduler_backend)
    result = bootstrap.job_events().job_finished(event, audit)
    return json_reply(views.event_result(result))
