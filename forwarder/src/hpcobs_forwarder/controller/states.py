"""Slurm's job states: which wait, which run, which have ended.

The names are those of ``job_state_string()`` in Slurm 20.11 to 26.05. The service maps them to its
own states. ``tests/forwarder/test_twins.py`` holds both tables equal.
"""

from __future__ import annotations

PENDING = frozenset(
    {
        *("PENDING", "CONFIGURING", "EXPEDITING", "REQUEUED", "REQUEUED_CRON", "REQUEUE_FED"),
        *("REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
    }
)
RUNNING = frozenset(
    {"RUNNING", "COMPLETING", "SUSPENDED", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"}
)
ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
)

PASSING_FLAGS = frozenset(
    {
        *("COMPLETING", "CONFIGURING", "POWER_UP_NODE", "RESIZING", "SIGNALING", "STAGE_OUT"),
        "STOPPED",
    }
)
"""Flags of an ended job while its Epilogs run, or its files are copied."""

GOES_ON = ("REQUEUED", "RESIZING")
"""States of the accounting database's records of earlier runs."""

_FINAL = frozenset({"CANCELLED", "COMPLETED", "TIMEOUT"})


def is_pending(raw_state: str) -> bool:
    """Return whether the job waits to start."""
    return _words(raw_state)[0] in PENDING


def is_open(raw_state: str) -> bool:
    """Return whether the end of the job is still to come. An unknown state is no end."""
    return _words(raw_state)[0] not in ENDED


def is_settled(raw_state: str) -> bool:
    """Return whether the job has ended, and its state has no flag that Slurm removes in time."""
    return not is_open(raw_state) and not PASSING_FLAGS.intersection(_words(raw_state))


def is_suspended(raw_state: str) -> bool:
    """Return whether the job has started and is suspended now."""
    return _words(raw_state)[0] == "SUSPENDED"


def goes_on(raw_state: str) -> bool:
    """Return whether the accounting database closed this record of a job and opened another."""
    return any(state in _words(raw_state) for state in GOES_ON)


def may_go_on(raw_state: str) -> bool:
    """Return whether Slurm may requeue a job whose run ended so, without a record of that."""
    return is_open(raw_state) or _words(raw_state)[0] not in _FINAL


def _words(raw_state: str) -> list[str]:
    """Return the state and its flags. ``CANCELLED by 1000`` and ``RUNNING+STOPPED`` have more."""
    return raw_state.replace("+", " ").upper().split() or [""]
