"""Asking Slurm by its commands: ``scontrol`` (or ``squeue`` and ``sinfo``) and ``sacct``."""

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
_SECONDS_AT_ONCE = 3600.0
_TEXT = (
    *("sacct", "--allocations", "--noheader", "--parsable2"),
    "--format=JobIDRaw,User,ExitCode",
)
_LINE = re.compile(r"(\d+)\|([^|]*)\|(\d+):(\d+)")
_NO_HISTORY = ("accounting storage is disabled", "No such file or directory: 'sacct'")


def run(command: list[str]) -> bytes:
    """What the command prints; SourceError if it fails or takes too long."""
    try:
        return subprocess.run(  # noqa: S603 - Slurm's commands by name, without a shell
            command,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIME_LIMIT_SECONDS,
        ).stdout
    except subprocess.CalledProcessError as error:
        said = "; ".join(error.stderr.decode("utf-8", errors="replace").split("\n"))
        raise SourceError(f"{command[0]} failed: {said.strip('; ')[:300]}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise SourceError(f"{command[0]}: {error}") from error


def _asked(command: list[str], key: str, run: Callable[[list[str]], bytes]) -> list[dict[str, Any]]:
    output = run(command)
    try:
        return listed(json.loads(output), key)
    except ValueError as error:
        raise SourceError(f"{command[0]}: {error}") from error


class Commands:
    """slurmctld by ``scontrol``; by ``squeue`` and ``sinfo`` where that writes no JSON yet."""

    name = "commands"

    def __init__(self, run: Callable[[list[str]], bytes] = run) -> None:
        """``run`` runs a command."""
        self._run = run
        self._older = False
        self.cluster_name: str | None = None

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs in slurmctld's memory."""
        raw = self._first(
            ["scontrol", "--all", "--json", "show", "jobs"],
            ["squeue", "--all", "--states=all", "--json"],
            "jobs",
        )
        self.cluster_name = cluster_of(raw) or self.cluster_name
        return [job for job in map(job_of, raw) if job is not None]

    def nodes(self) -> list[dict[str, Any]]:
        """All nodes."""
        raw = self._first(["scontrol", "--json", "show", "nodes"], ["sinfo", "--json"], "nodes")
        return [node for node in map(node_of, raw) if node is not None]

    def _first(self, newer: list[str], older: list[str], key: str) -> list[dict[str, Any]]:
        if not self._older:
            try:
                return _asked(newer, key, self._run)
            except SourceError as error:
                if "unrecognized option" not in str(error):
                    raise
            self._older = True
        return _asked(older, key, self._run)


class Sacct:
    """The accounting database by ``sacct``; NoHistoryError where there is none."""

    def __init__(self, run: Callable[[list[str]], bytes] = run) -> None:
        """``run`` runs a command."""
        self._run = run

    def since(self, seconds: float, until: float) -> list[dict[str, Any]]:
        """The jobs that were there between ``seconds`` and ``until`` since the epoch.

        They are asked for hour by hour: a large cluster's whole day would be gigabytes.
        """
        found: dict[str, dict[str, Any]] = {}
        while seconds < until:
            end = seconds + _SECONDS_AT_ONCE
            options = [f"--starttime={_local(seconds)}", "--allusers"]
            if end < until:
                options.append(f"--endtime={_local(end)}")
            found.update((job["job_id"], job) for job in self._ask(options))
            seconds = end
        return list(found.values())

    def jobs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The jobs with these ids."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            found += self._ask([f"--jobs={','.join(ids[start : start + _IDS_AT_ONCE])}"])
        return found

    def _ask(self, options: list[str]) -> list[dict[str, Any]]:
        try:
            raw = _asked(["sacct", "--json", "--allocations", *options], "jobs", self._run)
        except NothingFoundError:
            return []
        except SourceError as error:
            if any(words in str(error) for words in _NO_HISTORY):
                raise NoHistoryError(str(error)) from error
            raise
        known = self._known_better(options) if raw else {}
        for one in raw:
            one.update(known.get(one.get("job_id"), {}))
        return [job for job in map(history.job_of, raw) if job is not None]

    def _known_better(self, options: list[str]) -> dict[Any, dict[str, Any]]:
        """By job, what sacct's JSON gets wrong and its text does not.

        Without an association the JSON names no user; that of Slurm 22.05 knows no exit code but 0.
        """
        told = self._run([*_TEXT, *options]).decode("utf-8", errors="replace")
        known: dict[Any, dict[str, Any]] = {}
        for line in told.splitlines():
            match = _LINE.fullmatch(line)
            if match:
                job_id, user, code, signal = match.groups()
                exit_code = {"return_code": int(code), "signal": {"signal_id": int(signal)}}
                known[int(job_id)] = {"exit_code": exit_code, **({"user": user} if user else {})}
        return known


def _local(seconds: float) -> str:
    """A time as sacct takes it: the host's own, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
