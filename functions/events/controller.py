"""What the controller tells: the jobs and nodes as the scheduler sees them now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs import bootstrap
from hpcobs.http import state_sync
from hpcobs.http.models.sync import StateSync
from hpcobs.http.replies import json_reply
from hpcobs.http.routing import current, new_router
from hpcobs.http.senders import check_controller
from hpcobs.http.validation import parse_body

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

router = new_router()


@router.post("/v1/events/jobs")
def sync_state() -> Response[str]:
    """Take the controller's view over, job by job."""
    request = current(router)
    check_controller(request.principal)
    seen = state_sync.sorted_out(parse_body(StateSync, request.body))
    audit = request.audit(default_source=bootstrap.settings().scheduler_backend)
    results = bootstrap.job_events().sync(seen.jobs, seen.nodes, audit)
    return json_reply(state_sync.view(seen, results))
