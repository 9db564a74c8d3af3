"""The case table: a job of each kind, how it ends in Slurm, and what its hooks can know of it."""

from __future__ import annotations

from dataclasses import dataclass

ODD_NAME = 'a "b" \\ ü'
NO_TEXT = b"bad\xff\xfename"
"""A job name that is not UTF-8. Any user can submit one."""
TRAP = "trap 'exit 9' TERM; sleep 300 & >ready; wait"
# The kernel goes on counting down a sleep while the job is suspended, but not the next one.
PARTS = "sleep 3; sleep 3; sleep 2"
MEMORY = "exec python3 -c 'import time; held = bytes(bytearray(300_000_000)); time.sleep(60)'"


@dataclass(frozen=True)
class Case:
    """A job and its end in Slurm: state, exit code, signal.

    ``by_hooks`` is the state that its epilogs report. They see only the exit status.
    """

    script: str
    raw_state: str
    state: str
    exit: tuple[int, int]
    options: tuple[str | bytes, ...] = ()
    by_hooks: str | None = None
    nodes: int = 1


CASES = {
    "time limit": Case("exec sleep 300", "TIMEOUT", "failed", (0, 15), ("-t1",), "completed"),
    "requeued": Case("sleep 5", "COMPLETED", "completed", (0, 0), ("--requeue",), "completed"),
    "success": Case("true", "COMPLETED", "completed", (0, 0), (f"-J{ODD_NAME}",), "completed"),
    "no text": Case("true", "COMPLETED", "completed", (0, 0), (b"-J" + NO_TEXT,), "completed"),
    "exit 3": Case("exit 3", "FAILED", "failed", (3, 0), (), "failed"),
    "SEGV": Case("kill -SEGV $$", "FAILED", "failed", (0, 11), (), "failed"),
    # Without cgroups, Slurm kills a job for its memory by SIGKILL, as a user could.
    "memory": Case(MEMORY, "FAILED", "failed", (0, 9), (), "cancelled"),
    "two nodes": Case("sleep 4; exit 5", "FAILED", "failed", (5, 0), ("-N2",), "failed", nodes=2),
    "GPU": Case("true", "COMPLETED", "completed", (0, 0), ("--gres=gpu:2",), "completed"),
    "suspended": Case(PARTS, "COMPLETED", "completed", (0, 0), (), "completed"),
    "cancelled": Case("exec sleep 300", "CANCELLED", "cancelled", (0, 15), (), "completed"),
    "trapped": Case(TRAP, "CANCELLED", "cancelled", (9, 0), (), "completed"),
    "held": Case("true", "CANCELLED", "cancelled", (0, 0), ("--hold",), nodes=0),
    "waiting": Case("true", "CANCELLED", "cancelled", (0, 0), ("--begin=now+1hour",), nodes=0),
    "task 0": Case("exit 0", "COMPLETED", "completed", (0, 0), (), "completed"),
    "task 1": Case("exit 1", "FAILED", "failed", (1, 0), (), "failed"),
    "task 2": Case("exit 2", "FAILED", "failed", (2, 0), (), "failed"),
}
LONG = ("time limit", "requeued")
SHORT = [name for name, case in CASES.items() if case.by_hooks and name not in LONG]
CANCELLED = ("cancelled", "trapped")
CORRECTED = (*CANCELLED, "memory")
NEVER_RAN = ("held", "waiting")
KILLED_FOR_MEMORY = {"JobAcctGatherFrequency": "task=1", "JobAcctGatherParams": "OverMemoryKill"}
"""Settings of slurm.conf with which a job above its memory is killed."""
