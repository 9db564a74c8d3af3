"""Import budgets: a cold start loads nothing that its function does not need."""

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
def test_a_cold_start_loads_only_what_its_function_needs(function: str) -> None:
    assert modules_of(function) & HEAVY == ALLOWED[function]


def test_the_authorizer_does_without_powertools() -> None:
    assert "aws_lambda_powertools" not in modules_of("authorizer")
