"""Import budgets: a cold start loads only the packages that its function needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "ClusterShell",
    "asyncpg",
    "boto3",
    "botocore.session",
    "httpx",
    "jinja2",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "pydantic",
    "requests",
    "rich",
    "typer",
    "yaml",
    "aws_xray_sdk",
    "aws_lambda_powertools.event_handler",
}
ALLOWED = {
    "api": {"pydantic"},
    "events": {"pydantic"},
    "ingest": set[str](),
    "metrics": set[str](),
    "authorizer": set[str](),
}
LOADED = (
    "import importlib, json, sys; "
    "importlib.import_module('functions.{function}.handler'); "
    "print(json.dumps(sorted(sys.modules)))"
)


def modules_of(function: str) -> set[str]:
    command = [sys.executable, "-c", LOADED.format(function=function)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("function", ALLOWED)
def test_cold_start_loads_needed_packages_only(function: str) -> None:
    assert modules_of(function) & HEAVY == ALLOWED[function]


def test_authorizer_loads_no_powertools() -> None:
    assert "aws_lambda_powertools" not in modules_of("authorizer")
