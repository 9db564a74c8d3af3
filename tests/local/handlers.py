"""Handlers for tests, which misbehave on request."""

from __future__ import annotations

import os
import sys
import time
from typing import Any


def echo(event: Any, context: Any) -> Any:
    """Return the event and the fields of the context."""
    return {
        "event": event,
        "name": context.function_name,
        "request_id": context.aws_request_id,
        "memory": context.memory_limit_in_mb,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "variable": os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        "pid": os.getpid(),
    }


def act(event: Any, context: Any) -> Any:  # noqa: ARG001
    """Print, sleep, raise or exit as the event demands."""
    if event.get("print"):
        print(event["print"])  # noqa: T201
        sys.stdout.buffer.write(b"\x00\x01\x02raw\n")
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("raise"):
        raise ValueError(event["raise"])
    if event.get("exit") is not None:
        os._exit(event["exit"])
    if event.get("answer") == "not JSON":
        return object()
    return {"pid": os.getpid()}
