"""Query Slurm by its commands: ``scontrol`` (or ``squeue`` and ``sinfo``) and ``sacct``."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller import history
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.nodes import node_of
from hpcobs_forwarder.controller.source import (
    NoHistoryError,
    NothingFoundError,
    SourceError,
    cluster_of,
    listed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TIME_LIMIT_SECONDS = 60
_IDS_AT_ONCE = 500
"""Far below the kernel's limit of 128 KiB for one argument."""
_SECONDS_AT_ONCE = 3600.0
# --allocations: one line a job, without its steps. JobIDRaw: an array task by its own id, as in the
# JSON, instead of <array>_<task>.
_TEXT = (
    *("sacct", "--allocations", "--noheader", "--parsable2"),
    "--format=JobIDRaw,User,ExitCode",
)
_LINE = re.compile(r"(\d+)\|([^|]*)\|(\d+):(\d+)")
_NO_HISTORY = ("accounting storage is disabled", "No such file or directory: 'sacct'")


def run(command: list[str]) -> bytes:
    """Return what the command prints. Raise SourceError if it fails or takes too long."""
    try:
        return subprocess.run(  # noqa: S603 - Slurm's commands by name, without a shell
            command,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIME_LIMIT_SECONDS,
        ).stdout
    except subprocess.CalledProcessError as error:
        message = "; ".join(error.stderr.decode("utf-8", errors="replace").split("\n"))
        raise SourceError(f"{command[0]} failed: {message.strip('; ')[:300]}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise SourceError(f"{command[0]}: {error}") from error


def _query(command: list[str], key: str, run: Callable[[list[str]], bytes]) -> list[dict[str, Any]]:
    output = run(command)
    try:
        return listed(json.loads(output), key)
    except ValueError as error:
        raise SourceError(f"{command[0]}: {error}") from error


class Commands:
    """slurmctld, queried by ``scontrol``, or by ``squeue`` and ``sinfo`` in older versions."""

    name = "commands"

    def __init__(self, run: Callable[[list[str]], bytes] = run) -> None:
        """Use ``run`` to run a command."""
        self._run = run
        self._older = False
        self.cluster_name: str | None = None

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs in slurmctld's memory. Raise SourceError."""
        # --all: also jobs in hidden partitions. --states=all: squeue shows ended jobs only with it.
        raw = self._first(
            ["scontrol", "--all", "--json", "show", "jobs"],
            ["squeue", "--all", "--states=all", "--json"],
            "jobs",
        )
        self.cluster_name = cluster_of(raw) or self.cluster_name
        return [job for job in map(job_of, raw) if job is not None]

    def nodes(self) -> list[dict[str, Any]]:
        """Return all nodes. Raise SourceError."""
        raw = self._first(["scontrol", "--json", "show", "nodes"], ["sinfo", "--json"], "nodes")
        return [node for node in map(node_of, raw) if node is not None]

    def _first(self, newer: list[str], older: list[str], key: str) -> list[dict[str, Any]]:
        # squeue and sinfo had --json in versions of Slurm whose scontrol had not. Any other failure
        # of scontrol would be one of theirs too.
        if not self._older:
            try:
                return _query(newer, key, self._run)
            except SourceError as error:
                if "unrecognized option" not in str(error):
                    raise
            self._older = True
        return _query(older, key, self._run)


class Sacct:
    """The accounting database, queried by ``sacct``. NoHistoryError if there is none."""

    def __init__(self, run: Callable[[list[str]], bytes] = run) -> None:
        """Use ``run`` to run a command."""
        self._run = run

    def since(self, seconds: float, until: float) -> list[dict[str, Any]]:
        """Return the jobs that existed between two times, in epoch seconds. Raise SourceError."""
        # Hour by hour: a whole day of a large cluster would be gigabytes of JSON.
        found: dict[str, dict[str, Any]] = {}
        while seconds < until:
            end = seconds + _SECONDS_AT_ONCE
            options = [f"--starttime={_local(seconds)}", "--allusers"]
            if end < until:  # the last hour stays open, so that nothing since `until` is missed
                options.append(f"--endtime={_local(end)}")
            found.update((job["job_id"], job) for job in self._read(options))
            seconds = end
        return list(found.values())

    def jobs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the jobs with these ids. Raise SourceError."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            found += self._read([f"--jobs={','.join(ids[start : start + _IDS_AT_ONCE])}"])
        return found

    def _read(self, options: list[str]) -> list[dict[str, Any]]:
        try:
            raw = _query(["sacct", "--json", "--allocations", *options], "jobs", self._run)
        except NothingFoundError:
            return []
        except SourceError as error:
            if any(words in str(error) for words in _NO_HISTORY):
                raise NoHistoryError(str(error)) from error
            raise
        corrections = self._corrections(options) if raw else {}
        for one in raw:
            one.update(corrections.get(one.get("job_id"), {}))
        return [job for job in map(history.job_of, raw) if job is not None]

    def _corrections(self, options: list[str]) -> dict[Any, dict[str, Any]]:
        """Return the fields, by job, that are wrong in sacct's JSON and right in its text."""
        # Without an association the JSON names no user. In Slurm 22.05 its exit code is always 0.
        output = self._run([*_TEXT, *options]).decode("utf-8", errors="replace")
        corrections: dict[Any, dict[str, Any]] = {}
        for line in output.splitlines():
            match = _LINE.fullmatch(line)
            if match:
                job_id, user, code, signal = match.groups()
                exit_code = {"return_code": int(code), "signal": {"signal_id": int(signal)}}
                corrections[int(job_id)] = {
                    "exit_code": exit_code,
                    **({"user": user} if user else {}),
                }
        return corrections


def _local(seconds: float) -> str:
    """Format a time as sacct expects it: the host's local time, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
