"""A node that sends foreign data: of other nodes, of their jobs, or of the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.attacks import END, N1, SAMPLE, START, bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.gateway import Gateway

BATCH_ID = "6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c"
FOREIGN: dict[str, tuple[str, dict[str, Any]]] = {
    "another's start": ("job-started", {**START, "node": "n2", "node_list": ["n2"]}),
    "another's start of a job here too": (
        "job-started",
        {**START, "node": "n2", "node_list": ["n1", "n2"]},
    ),
    "a start of nobody": ("job-started", {**START, "node": None}),
    "a job elsewhere": ("job-started", {**START, "node_list": ["n2"]}),
    "a job elsewhere, in Slurm's words": ("job-started", {**START, "node_list": "n[2-9]"}),
    "the controller's start": ("job-started", {**START, "source": "prolog_slurmctld"}),
    "another's end": ("job-finished", {**END, "node": "n2"}),
    "an end of nobody": ("job-finished", {**END, "node": None}),
    "an end elsewhere": ("job-finished", {**END, "node_list": ["n2"]}),
    "the controller's end": ("job-finished", {**END, "source": "epilog_slurmctld"}),
    "its name in capitals": ("job-started", {**START, "node": "N1", "node_list": ["N1"]}),
    "its name with a domain": ("job-started", {**START, "node": "n1.x", "node_list": ["n1.x"]}),
}


@pytest.mark.parametrize(("event", "body"), FOREIGN.values(), ids=FOREIGN)
def test_node_sends_its_own_events_only(
    shared_site: Gateway, event: str, body: dict[str, Any], content: Callable[[], dict[str, int]]
) -> None:
    answer = shared_site.post(f"/v1/events/{event}", body, authorization=N1)
    assert (answer.status, answer.error) == (403, "forbidden")
    assert set(content().values()) == {0}


@pytest.mark.parametrize("node", ["n2", "N1", "n1.x", "n10", "n[1-2]"])
def test_node_cannot_send_foreign_samples(
    shared_site: Gateway, node: str, content: Callable[[], dict[str, int]]
) -> None:
    entry = {**SAMPLE, "job_id": "1"}
    body = {"node": node, "batch_id": BATCH_ID, "samples": [entry]}
    assert shared_site.post("/v1/samples", body, authorization=N1).status in (400, 403)
    smuggled = {"node": "n1", "batch_id": BATCH_ID, "samples": [{**entry, "node": node}]}
    assert shared_site.post("/v1/samples", smuggled, authorization=N1).status == 400
    twice = f'{{"node": "n1", "node": "{node}", "batch_id": "{BATCH_ID}", "samples": []}}'
    assert shared_site.post("/v1/samples", body=twice, authorization=N1).status in (400, 403)
    assert set(content().values()) == {0}


def test_node_cannot_send_controllers_view(
    shared_site: Gateway, content: Callable[[], dict[str, int]]
) -> None:
    body = {
        "observed_at": START["timestamp"],
        "jobs": [],
        "nodes": [{"node": "n1", "state": "DOWN"}],
    }
    answer = shared_site.post("/v1/events/jobs", body, authorization=N1)
    assert (answer.status, answer.error) == (403, "forbidden")
    assert set(content().values()) == {0}


def test_node_cannot_end_foreign_job(site: Gateway) -> None:
    other = {**START, "node": "n2", "node_list": ["n2"]}
    site.post("/v1/events/job-started", other, authorization=bearer("events:write", node="n2"))
    answer = site.post("/v1/events/job-finished", END, authorization=N1)
    assert answer.json["status"] == "skipped"
    assert site.get("/v1/jobs/500").json["state"] == "running"
