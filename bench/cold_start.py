"""Cold starts: importing each function's handler, beside importing the libraries it needs."""

from __future__ import annotations

import subprocess
import sys

from bench.measuring import Figure, show

ROUNDS = 7

# Libraries that the storage layer and the HTTP edge have to import.
_DATABASE = "import psycopg, msgspec; "
_LOG = "from aws_lambda_powertools import Logger; "

FLOORS = {
    "api": _LOG + _DATABASE + "from pydantic import BaseModel, Field",
    "events": _LOG + _DATABASE + "from pydantic import BaseModel, Field",
    "ingest": _LOG + "import msgspec",
    "metrics": _LOG + _DATABASE,
    "authorizer": "import jwt, msgspec",
    "collector": _LOG + _DATABASE,
    "retention": _LOG + _DATABASE,
}
READY = {
    "api": "bootstrap.jobs()",
    "events": "bootstrap.job_events()",
    "ingest": "bootstrap.ingestion()",
    "metrics": "bootstrap.scrape()",
    "authorizer": "bootstrap.authenticator()",
    "collector": "bootstrap.collection()",
    "retention": "bootstrap.retention()",
}
ENVIRONMENT = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "SAMPLES_QUEUE_URL": "http://127.0.0.1:1/queue",
    "AUTH_SECRET": "x" * 32,
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "POWERTOOLS_SERVICE_NAME": "bench",
}


def run() -> None:
    """Measure and print the handler's import and what its first request makes, without I/O."""
    for function, floor in FLOORS.items():
        handler = f"import functions.{function}.handler; from hpcobs import bootstrap; "
        floors, products = [], []
        # In turn, so that a change of the machine's load affects both.
        for _ in range(ROUNDS):
            floors.append(_milliseconds(floor))
            products.append(_milliseconds(handler + READY[function]))
        show(
            f"Cold start of {function}, {ROUNDS} rounds",
            Figure("its libraries", "ms", floors),
            [Figure("handler, ready for its first request", "ms", products)],
            target="≤ 1.3 × its libraries",
        )


def _milliseconds(code: str) -> float:
    timing = "import time; began = time.perf_counter()\n"
    script = f"{timing}{code}\nprint((time.perf_counter() - began) * 1000)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    return float(done.stdout)
