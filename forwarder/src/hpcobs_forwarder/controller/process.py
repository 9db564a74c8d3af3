"""Run a command with limits on its time and its output."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import IO

from hpcobs_forwarder.controller.source import SourceError

TIME_LIMIT_SECONDS = 60.0
MAX_OUTPUT_BYTES = 1 << 30
"""100,000 jobs take some hundred megabytes."""
_MAX_ERROR_BYTES = 1 << 16

_UTC = {"TZ": "UTC0", "SLURM_TIME_FORMAT": "standard"}


def run_in_utc(command: list[str]) -> bytes:
    """Run the command so that Slurm reads and prints times in UTC. Raise SourceError."""
    # When clocks are put back, an hour of local time occurs twice.
    return run(command, environment=_UTC)


def run(
    command: list[str],
    time_limit: float = TIME_LIMIT_SECONDS,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
    environment: dict[str, str] | None = None,
) -> bytes:
    """Return what the command prints. Raise SourceError if it fails or exceeds a limit."""
    process = _start(command, environment or {})
    expired = threading.Event()
    timer = threading.Timer(time_limit, _expire, (process, expired))
    timer.daemon = True
    timer.start()
    try:
        output, errors = _read(process, max_output_bytes)
        status = process.wait()
    finally:
        timer.cancel()
        if process.returncode is None:  # a signal interrupted the reading
            _kill(process)
    if expired.is_set():
        raise SourceError(f"{command[0]} failed: no complete output within {time_limit:g} s")
    if len(output) > max_output_bytes:
        raise SourceError(f"{command[0]} failed: more than {max_output_bytes} bytes of output")
    if status:
        raise SourceError(f"{command[0]} failed: {_one_line(errors) or f'exit status {status}'}")
    return output


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - Slurm's commands by name, without a shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise SourceError(f"{command[0]}: {error}") from error


def _read(process: subprocess.Popen[bytes], max_bytes: int) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    errors: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True)
    reader.start()
    with process.stdout:
        output = process.stdout.read(max_bytes + 1)
    if len(output) > max_bytes:
        _kill(process)
    reader.join(TIME_LIMIT_SECONDS)
    return output, b"".join(errors)


def _drain(stream: IO[bytes], kept: list[bytes]) -> None:
    """Keep the beginning of the stream. Read the rest too, or the command would block."""
    with stream, suppress(OSError, ValueError):
        kept.append(stream.read(_MAX_ERROR_BYTES))
        while stream.read(_MAX_ERROR_BYTES):
            pass


def _expire(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it started: they hold its pipes open."""
    # Its session has its own process group, which this program is not in.
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError):
        process.wait()


def _one_line(errors: bytes) -> str:
    return "; ".join(errors.decode("utf-8", errors="replace").split("\n")).strip("; ")[:300]
