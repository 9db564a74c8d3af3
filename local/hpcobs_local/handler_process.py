"""The process of one Lambda-like environment: it imports a handler and runs one request at a time.

Run as ``python -m hpcobs_local.handler_process HANDLER FD``, where FD is the channel: one end of a
socket pair. The channel is a separate descriptor, because standard output belongs to the handler
and goes to the log.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
import sys
import time
import traceback
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

from hpcobs_local import framing

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedRWPair

    Handler = Callable[[Any, "Context"], Any]

LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"


class Context:
    """A handler's view of its invocation, as AWS's Lambda context object in Python."""

    def __init__(self, request_id: str, deadline_ms: float) -> None:
        name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_name = name
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        self.invoked_function_arn = f"arn:aws:lambda:local:000000000000:function:{name}"
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        self.aws_request_id = request_id
        self.log_group_name = f"/aws/lambda/{name}"
        self.log_stream_name = f"local/{os.getpid()}"
        self.identity = None
        self.client_context = None
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out, by the wall clock."""
        return max(0, int(self._deadline_ms - time.time() * 1000))


def main(handler_name: str, descriptor: int) -> None:
    """Run requests until the other end of the channel closes."""
    logging.basicConfig(stream=sys.stderr, format=LOG_FORMAT, level=logging.INFO)
    channel = socket.socket(fileno=descriptor).makefile("rwb")
    # A thread reads the channel, so that its end is seen while the handler is imported and runs.
    requests: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_receive, args=(channel, requests), daemon=True).start()
    try:
        handler = _load(handler_name)
    except Exception as error:  # noqa: BLE001 - the edge of an import that may fail in any way
        traceback.print_exc()
        _send(channel, {"init_error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
    _send(channel, {"ready": True})
    while True:
        _send(channel, _run(handler, requests.get()))


def _load(name: str) -> Handler:
    module, _, attribute = name.rpartition(".")
    return cast("Handler", getattr(importlib.import_module(module), attribute))


def _receive(channel: BufferedRWPair, requests: SimpleQueue[Any]) -> None:
    """Put requests on the queue. Exit when the channel ends, even during import or invocation."""
    try:
        while True:
            requests.put(framing.read(channel))
    except (EOFError, OSError):
        # sys.exit would end this thread only.
        os._exit(0)


def _run(handler: Handler, request: Any) -> dict[str, Any]:
    try:
        context = Context(request["request_id"], request["deadline_ms"])
        return {"result": handler(request["event"], context)}
    except Exception as error:  # noqa: BLE001 - the edge of a request
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        # Python buffers the output, because it is a pipe. The log should have it by now.
        sys.stdout.flush()


def _send(channel: BufferedRWPair, message: dict[str, Any]) -> None:
    try:
        content = framing.packed(message)
    except TypeError as error:
        content = framing.packed({"error": f"the response is not JSON: {error}"})
    channel.write(content)
    channel.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
