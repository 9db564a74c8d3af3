"""Count the project's files that five trips enter: what a reader of each trip has to open.

A file counts when one of its functions is called. Each trip is made twice in one process, and the
second one counts, so that imports and first connections do not. ``-v`` lists the files.

No module inside the packages is named here, except the entry points that Lambda and systemd name:
the same count then holds for a tree whose modules were moved or merged.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jwt

from bench import cgroup_trees
from bench.batches import batch
from bench.database import migrated_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

FOLDERS = ("layers", "functions", "forwarder/src")
SECRET = "a key of the benchmarks, 32 characters or more"  # noqa: S105 - it signs nothing else
ONE_PASS_MILLISECONDS = 20_000
"""Less than a pause and its reserve: the collector then makes one pass and returns."""
RESPONSE_SECONDS = 0.3
"""How long the daemon may handle a response: less than its interval, to miss no reading."""
CONTEXT = SimpleNamespace(
    aws_request_id="3d3f6a9e-0000-4000-8000-000000000000",
    get_remaining_time_in_millis=lambda: ONE_PASS_MILLISECONDS,
)


class Recorder:
    """Records the project's files while ``active``, in every thread started in ``installed``."""

    def __init__(self) -> None:
        self.active = False
        self.files: set[str] = set()
        handler = str(import_module("functions.events.handler").__file__)
        self._root = Path(handler).parents[2]
        self._folders = tuple(f"{self._root / folder}{os.sep}" for folder in FOLDERS)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Watch the calls of this thread and of those it starts."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def trip(self) -> Iterator[None]:
        """Record one trip, from no files."""
        self.files.clear()
        self.active = True
        try:
            yield
        finally:
            self.active = False

    def names(self) -> list[str]:
        """Return the files of the last trip, relative to the repository, sorted."""
        return sorted(str(Path(name).relative_to(self._root)) for name in self.files)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if (
            self.active
            and event == "call"
            and code.co_name != "<module>"  # an import is no step of the trip
            and code.co_filename.startswith(self._folders)
        ):
            self.files.add(code.co_filename)


def run() -> None:
    """Make the trips and print how many files each entered."""
    logging.disable(logging.INFO)
    recorder = Recorder()
    try:
        with recorder.installed():
            for name, files in (*_trips_of_the_service(recorder), _trip_of_a_reading(recorder)):
                print(f"{len(files):3} files: {name}")
                if "-v" in sys.argv:
                    print("".join(f"      {file}\n" for file in files), end="")
    finally:
        logging.disable(logging.NOTSET)


def _trips_of_the_service(recorder: Recorder) -> Iterator[tuple[str, list[str]]]:
    with migrated_database() as url, _environment(DATABASE_URL=url, AUTH_SECRET=SECRET):
        yield "a job-started event, from request to row", _start(recorder, "1", "2")
        yield "the same event again", _start(recorder, "2", "2")
        for seconds in (1, 2):
            _request("ingest", "POST", "/v1/samples", _one_sample(seconds))
            with recorder.trip():
                report = _handler("collector")({}, CONTEXT)
            assert report["samples"]["stored"] == 1, report
        yield "a sample, from queue to row", recorder.names()
        for _ in range(2):
            with recorder.trip():
                _request("metrics", "GET", "/metrics")
        yield "a scrape, from rows to text", recorder.names()


def _start(recorder: Recorder, *job_ids: str) -> list[str]:
    """Post a start of each job. Return the files that the last one entered."""
    for job_id in job_ids:
        body = json.dumps(_job_started(job_id)).encode()
        with recorder.trip():
            _request("events", "POST", "/v1/events/job-started", body)
    return recorder.names()


def _job_started(job_id: str) -> dict[str, object]:
    """Return what the Prolog posts for a job with a GPU on two nodes."""
    return {
        "job_id": job_id,
        "user": "ada",
        "node": "n1",
        "node_list": "n[1-2]",
        "timestamp": datetime.now(UTC).isoformat(),
        "cpu_allocation": 8,
        "gpu_allocation": 1,
        "gpu_vendor": "nvidia",
        "gpu_devices": ["0"],
        "partition": "main",
        "account": "physics",
        "cluster_name": "bench",
        "name": "train",
        "restart_count": 0,
        "source": "prolog",
    }


def _one_sample(seconds: int) -> bytes:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return batch("n1", ["1"], samples=1, gpus=1, beginning=at)


def _handler(function: str) -> Any:
    """Return a function's handler by the string that its Lambda is configured with."""
    return import_module(f"functions.{function}.handler").lambda_handler


def _request(function: str, method: str, path: str, body: bytes | None = None) -> None:
    """Send a request as API Gateway does, payload version 2.0. Fail unless it succeeds."""
    key = f"{method} {path}"
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "authorization": f"Bearer {_token()}",
            "content-type": "application/json",
            "accept-encoding": "gzip",
        },
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
            "requestId": "bench",
            "routeKey": key,
            "stage": "$default",
            "time": "02/Nov/2026:08:00:00 +0000",
            "timeEpoch": 1793606400000,
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        event["body"] = body.decode()
    event["requestContext"]["authorizer"] = {"lambda": _verdict(event)}
    response = _handler(function)(event, CONTEXT)
    assert response["statusCode"] < 300, response


def _token() -> str:
    expires = datetime.now(UTC) + timedelta(hours=1)
    return jwt.encode({"sub": "bench", "scope": "admin", "exp": expires}, SECRET, "HS256")


_verdicts: dict[str, Any] = {}


def _verdict(event: dict[str, Any]) -> Any:
    """Return the authorizer's context, made once: the gateway caches it too, outside each trip."""
    if not _verdicts:
        source = [event["headers"]["authorization"]]
        request = {**event, "type": "REQUEST", "identitySource": source}
        _verdicts.update(_handler("authorizer")(request, CONTEXT)["context"])
    return _verdicts


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set variables as a Lambda of a small site has them, and restore the old ones afterwards."""
    before = dict(os.environ)
    os.environ.update({"DB_MAX_CONNS": "1", "DB_MIN_CONNS": "0", "CLUSTER_NAME": "bench", **values})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _trip_of_a_reading(recorder: Recorder) -> tuple[str, list[str]]:
    """Run the daemon over one job's cgroup. Count from its first POST to its second."""
    with tempfile.TemporaryDirectory() as folder, _site(recorder) as url:
        root = Path(folder)
        cgroup_trees.version_2(root, 1, [])
        (root / "token").write_text("bench\n")
        settings = {
            "HPCOBS_URL": url,
            "HPCOBS_NODE": "n1",
            "HPCOBS_TOKEN_FILE": str(root / "token"),
            "HPCOBS_SPOOL_DIR": str(root / "spool"),
            "HPCOBS_FALLBACK_DIR": str(root / "fallback"),
            "HPCOBS_INTERVAL_SECONDS": "1",
            "HPCOBS_PUSH_SECONDS": "1",
            "HPCOBS_GPUS": "none",
        }
        with _environment(**settings):
            _forwarder()(["--sysfs-root", str(root), "--config", str(root / "none.conf")])
    return "a reading, from cgroup file to POST", recorder.names()


def _forwarder() -> Any:
    """Return the function behind the command ``hpcobs-forwarder``."""
    from importlib.metadata import entry_points

    (command,) = entry_points(group="console_scripts", name="hpcobs-forwarder")
    return command.load()


@contextmanager
def _site(recorder: Recorder) -> Iterator[str]:
    """Accept batches on 127.0.0.1. Record between the first and the second, then stop the daemon.

    The daemon runs in the main thread, for its signal handlers, so this is the only place that
    knows when a batch has arrived.
    """
    accepted: list[str] = []

    class Site(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            accepted.append(self.path)
            if len(accepted) == 2:
                recorder.active = False
            body = b'{"status": "queued"}'
            self.send_response(202)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Correlation-Id", "bench")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if len(accepted) == 1:
                # The daemon first handles this response: that belongs to the first batch's trip.
                time.sleep(RESPONSE_SECONDS)
                recorder.files.clear()
                recorder.active = True
            if len(accepted) == 2:
                os.kill(os.getpid(), signal.SIGTERM)

        def log_message(self, *_: object) -> None:
            """Stay silent: a line for each request would hide the figures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    run()
