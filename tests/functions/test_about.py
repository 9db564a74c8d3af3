"""Health, the contract, its page, the packing of responses, and the log."""

from __future__ import annotations

import json
import logging
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from hpcobs import __version__, bootstrap
from hpcobs.http.routes import ROUTES
from tests.functions.gateway import Gateway, token

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_health_needs_no_token(site: Gateway) -> None:
    answer = site.get("/v1/health", authorization=None)
    assert (answer.status, answer.json["status"]) == (200, "healthy")
    assert answer.json["version"] == __version__
    assert {name: check["status"] for name, check in answer.json["checks"].items()} == {
        "database": "ok",
        "queue": "ok",
    }


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch, site: Gateway) -> Gateway:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    bootstrap.reset()
    return site


def test_service_without_database_is_unhealthy(no_database: Gateway) -> None:
    answer = no_database.get("/v1/health", authorization=None)
    assert (answer.status, answer.json["status"]) == (503, "unhealthy")
    assert answer.json["checks"]["database"]["message"] == "the database is not available"


def test_unavailable_response_has_retry_after(no_database: Gateway) -> None:
    answer = no_database.get("/v1/jobs")
    assert (answer.status, answer.error) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_service_without_queue_is_degraded(site: Gateway) -> None:
    table = "sample_queue"
    with bootstrap.connections().connection() as connection:
        connection.execute(f"DROP TABLE {table}".encode())
    answer = site.get("/v1/health", authorization=None)
    assert (answer.status, answer.json["status"]) == (200, "degraded")


def test_served_contract_has_every_route(site: Gateway) -> None:
    contract = site.get("/v1/openapi.json", authorization=None).json
    served = {
        f"{method.upper()} {path}" for path, item in contract["paths"].items() for method in item
    }
    assert {route.key for route in ROUTES} <= served


def test_docs_page_runs_only_its_own_code(site: Gateway) -> None:
    answer = site.get("/v1/docs", authorization=None)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert b"<script>" in answer.body


@pytest.mark.parametrize("accept", ["gzip", "br, gzip;q=0.8"])
def test_large_response_is_packed_if_accepted(site: Gateway, accept: str) -> None:
    answer = site.get("/v1/openapi.json", headers={"accept-encoding": accept})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json["openapi"] == "3.1.0"


def test_response_is_plain_if_gzip_is_not_accepted(site: Gateway) -> None:
    answer = site.get("/v1/openapi.json", headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in answer.headers


def test_too_large_response_names_a_remedy(site: Gateway) -> None:
    for number in range(40):
        nodes = [f"a-node-with-a-rather-long-name-{number}" for number in range(5_000)]
        site.post("/v1/jobs", {"id": str(number), "user": "ada", "nodes": nodes})
    answer = site.get("/v1/jobs")
    assert (answer.status, answer.error) == (400, "invalid_request")
    assert "limit" in answer.json["message"]
    assert site.get("/v1/jobs", query="limit=20").status == 200
    assert site.get("/v1/jobs", headers={"accept-encoding": "gzip"}).status == 200


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Capture the api function's log lines."""
    from functions.api.handler import app

    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(app._logger.registered_formatter)
    logging.getLogger("hpcobs-api").addHandler(handler)
    yield stream
    logging.getLogger("hpcobs-api").removeHandler(handler)


def test_unexpected_error_is_logged_and_not_sent(
    site: Gateway, log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorization = f"Bearer {token('jobs:read')}"
    site.get("/v1/jobs", authorization=authorization)

    def fail() -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(bootstrap, "jobs", fail)
    answer = site.get(
        "/v1/jobs", authorization=authorization, headers={"x-correlation-id": "trace-me"}
    )
    assert (answer.status, answer.error) == (500, "internal_error")
    assert b"secret" not in answer.body
    logged = [json.loads(line) for line in log.getvalue().splitlines()]
    (fault,) = (line for line in logged if line["level"] == "ERROR")
    assert "a secret of the inside" in fault["exception"]
    assert fault["correlation_id"] == "trace-me"
    assert authorization.split()[1] not in log.getvalue()


def test_every_request_logs_one_line(site: Gateway, log: StringIO) -> None:
    site.get("/v1/jobs/none")
    site.get("/v1/jobs", authorization=None)
    first, second = (json.loads(line) for line in log.getvalue().splitlines())
    assert (first["route"], first["status"], first["subject"]) == (
        "GET /v1/jobs/{jobId}",
        404,
        "tester",
    )
    assert first["refusal"] == "job none not found"
    assert (second["status"], second["refusal"]) == (401, "a token is needed")
    assert "subject" not in second
