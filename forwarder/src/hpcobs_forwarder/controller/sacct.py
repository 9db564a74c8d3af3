"""Query Slurm's accounting database by ``sacct``."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.clock import rfc3339
from hpcobs_forwarder.controller import history
from hpcobs_forwarder.controller.commands import query
from hpcobs_forwarder.controller.process import run_in_utc
from hpcobs_forwarder.controller.records import Faults, parsed
from hpcobs_forwarder.controller.source import NoHistoryError, NothingFoundError, SourceError
from hpcobs_forwarder.controller.states import ENDED, GOES_ON
from hpcobs_forwarder.controller.values import number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_IDS_AT_ONCE = 500
"""Far below the kernel's limit of 128 KiB for one argument."""
# --allocations: one line a job, without its steps. --duplicates: also earlier submissions of an id
# that Slurm used again, and earlier runs of requeued jobs.
_COMMON = ("--allocations", "--duplicates")
# JobIDRaw: an array task by its own id, as in the JSON, instead of <array>_<task>.
_TEXT = ("--noheader", "--parsable2", "--format=JobIDRaw,User,ExitCode,Submit")
_LINE = re.compile(r"(\d{1,10})\|([^|]*)\|(\d{1,10}):(\d{1,10})(?:\|([^|]*))?", re.ASCII)
_NO_HISTORY = ("accounting storage is disabled", "No such file or directory: 'sacct'")

Submission = tuple[int, "str | None"]


class Sacct:
    """The accounting database, queried by ``sacct``. NoHistoryError if there is none."""

    def __init__(self, run: Callable[[list[str]], bytes] = run_in_utc) -> None:
        """Use ``run`` to run a command with times in UTC."""
        self._run = run

    def ended(self, since: float, until: float) -> list[dict[str, Any]]:
        """Return the jobs that ended between two times, in epoch seconds. Raise SourceError.

        The runs that ended by a requeue are among them.
        """
        # With --state, sacct selects by the time of the end. Without, it leaves out the jobs that
        # were never eligible to start, such as held jobs that were cancelled.
        return self._read(
            [
                "--allusers",
                f"--state={','.join((*ENDED, *GOES_ON))}",
                f"--starttime={_utc(since)}",
                f"--endtime={_utc(math.ceil(until))}",
            ]
        )

    def jobs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the jobs with these ids, and the tasks of these arrays. Raise SourceError."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            found += self._read([f"--jobs={','.join(ids[start : start + _IDS_AT_ONCE])}"])
        return found

    def _read(self, options: list[str]) -> list[dict[str, Any]]:
        try:
            raws = query(["sacct", "--json", *_COMMON, *options], "jobs", self._run)
        except NothingFoundError:
            return []
        except SourceError as error:
            if any(words in str(error) for words in _NO_HISTORY):
                raise NoHistoryError(str(error)) from error
            raise
        corrections = self._corrections(options) if raws else {}
        for raw in raws:
            if isinstance(raw, dict):
                raw.update(_correction(raw, corrections))
        return parsed(raws, history.job_of, Faults())

    def _corrections(self, options: list[str]) -> dict[Submission, dict[str, Any]]:
        """Return the fields that are wrong in sacct's JSON and right in its text, by submission."""
        # Without an association the JSON names no user. In Slurm 22.05 its exit code is always 0.
        output = self._run(["sacct", *_COMMON, *_TEXT, *options])
        corrections: dict[Submission, dict[str, Any]] = {}
        for line in output.decode("utf-8", errors="replace").splitlines():
            match = _LINE.fullmatch(line)
            if match:
                job_id, user, code, signal, submitted = match.groups()
                exit_code = {"return_code": int(code), "signal": {"signal_id": int(signal)}}
                corrections[int(job_id), submitted] = {
                    "exit_code": exit_code,
                    **({"user": user} if user else {}),
                }
        return corrections


def _correction(
    raw: dict[str, Any], corrections: dict[Submission, dict[str, Any]]
) -> dict[str, Any]:
    job_id, times = number(raw.get("job_id")), raw.get("time")
    submitted = number(times.get("submission")) if isinstance(times, dict) else None
    if job_id is None:
        return {}
    if submitted is not None:
        exact = corrections.get((job_id, _utc(submitted)))
        if exact is not None:
            return exact
    return corrections.get((job_id, None), {})


def _utc(seconds: float) -> str:
    """Format a time as sacct expects and prints it in UTC."""
    return rfc3339(math.floor(seconds)).partition(".")[0]
