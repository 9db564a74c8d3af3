"""SnapStart: the modules that are loaded before the snapshot, and no connections."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from infra.constructs.functions import ON_THE_WAY_OF_REQUESTS
from tests.functions.test_imports import HEAVY

PROGRAM = """
import importlib, json, random, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        raise AssertionError(f"{event} {arguments} before the snapshot")

sys.addaudithook(watch)
before = random.getstate()
importlib.import_module(f"functions.{sys.argv[1]}.handler")
assert random.getstate() == before
print(json.dumps(sorted(sys.modules)))
"""
ON_LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "hpcobs-lab",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
DATABASE = {"DB_HOST": "database.invalid", "DB_IAM_AUTH": "true"}
QUEUE = {"SAMPLES_QUEUE_URL": "https://sqs.invalid/samples"}
ENVIRONMENT = {
    "api": DATABASE | QUEUE,
    "events": DATABASE,
    "ingest": QUEUE,
    "metrics": DATABASE | QUEUE,
    "authorizer": {"AUTH_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:1:secret:key"},
}
LOADED = {
    "api": {"boto3", "botocore.session", "psycopg", "pydantic"},
    "events": {"boto3", "botocore.session", "psycopg", "pydantic"},
    "ingest": {"boto3", "botocore.session"},
    "metrics": {"boto3", "botocore.session", "psycopg"},
    "authorizer": {"boto3", "botocore.session"},
}


def imported(function: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, function],
        env={**kept, **ENVIRONMENT[function], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("function", ON_THE_WAY_OF_REQUESTS)
def test_snapshot_loads_modules_without_connecting(function: str) -> None:
    done = imported(function, **ON_LAMBDA)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) & HEAVY >= LOADED[function]


def test_bad_setting_fails_the_snapshot() -> None:
    done = imported("authorizer", **ON_LAMBDA, AUTH_JWKS_URL="http://login.example.org")
    assert done.returncode != 0
    assert "AUTH_JWKS_URL: must begin with https://" in done.stderr


def test_ordinary_start_loads_nothing_early() -> None:
    done = imported("ingest", **ON_LAMBDA | {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})
    assert done.returncode == 0, done.stderr
    assert not set(json.loads(done.stdout)) & HEAVY
