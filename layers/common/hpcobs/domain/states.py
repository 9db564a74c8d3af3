"""The five states of a job, and the mapping of Slurm's states and exits to them.

Sources: ``job_state_string()`` of Slurm 20.11 to 26.05, whose states and flags are all here; the
state table of the contract. The forwarder has the same table for itself.
"""

from __future__ import annotations

from enum import StrEnum

from hpcobs.domain.errors import InvalidStateError


class JobState(StrEnum):
    """A job's normalised state."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobState.PENDING, JobState.RUNNING)

    @classmethod
    def parse(cls, text: str, *, field: str = "state") -> JobState:
        """Return the state named ``text``. Raise InvalidStateError, which names ``field``."""
        try:
            return cls(text)
        except ValueError:
            known = ", ".join(cls)
            raise InvalidStateError(field, f"must be one of {known}") from None


_SLURM_STATES: dict[JobState, tuple[str, ...]] = {
    JobState.PENDING: (
        "PENDING",
        "CONFIGURING",
        "EXPEDITING",
        "REQUEUED",
        "REQUEUED_CRON",
        "RESIZING",
        "SUSPENDED",
        "RESV_DEL_HOLD",
        "REQUEUE_FED",
        "REQUEUE_HOLD",
        "SPECIAL_EXIT",
    ),
    JobState.RUNNING: ("RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED"),
    JobState.COMPLETED: ("COMPLETED",),
    JobState.FAILED: ("FAILED", "BOOT_FAIL", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"),
    JobState.CANCELLED: ("CANCELLED", "PREEMPTED", "REVOKED"),
}
_PASSING_FLAGS = frozenset(
    {
        *("COMPLETING", "CONFIGURING", "POWER_UP_NODE", "RESIZING", "SIGNALING", "STAGE_OUT"),
        "STOPPED",
    }
)
_FROM_SLURM = {raw: state for state, raws in _SLURM_STATES.items() for raw in raws}


def is_suspended(raw_state: str | None) -> bool:
    """Return whether Slurm's state is ``SUSPENDED``: pending here, though the run has begun."""
    return raw_state is not None and _name_of(raw_state) == "SUSPENDED"


def is_completing(raw_state: str | None) -> bool:
    """Return whether Slurm's state or one of its flags is ``COMPLETING``: its epilogs run."""
    return raw_state is not None and "COMPLETING" in raw_state.upper()


def is_settled(raw_state: str) -> bool:
    """Return whether Slurm's state has no flag that Slurm removes from an ended job in time."""
    return not _PASSING_FLAGS.intersection(raw_state.upper().replace("+", " ").split())


def waits(raw_state: str) -> bool:
    """Return whether the run is still to begin. A suspended or resized job has begun.

    Raise InvalidStateError for an unknown state.
    """
    begun = ("SUSPENDED", "RESIZING")
    return from_slurm(raw_state) is JobState.PENDING and _name_of(raw_state) not in begun


def _name_of(raw_state: str) -> str:
    words = raw_state.replace("+", " ").split()
    return words[0].upper() if words else ""


CANCELLING_SIGNALS = frozenset({9, 15})
"""SIGKILL and SIGTERM, which ``scancel`` sends."""


def from_slurm(raw_state: str) -> JobState:
    """Return the state for Slurm's ``raw_state``, e.g. ``CANCELLED by 1000`` or ``COMPLETED+``.

    Flags after a ``+`` or a space are dropped. Raise InvalidStateError for an unknown state.
    """
    try:
        return _FROM_SLURM[_name_of(raw_state)]
    except KeyError:
        raise InvalidStateError("state", f"{raw_state!r} is not a known Slurm state") from None


def checked_final(state: JobState, *, exit_code: int | None, signal: int | None) -> JobState:
    """Return the final state, with ``completed`` checked against exit code and signal.

    An epilog cannot know why a job ended. A signal that ``scancel`` sends means cancelled. Any
    other signal or a non-zero exit code means failed. ``failed`` and ``cancelled`` stay as given.
    Raise InvalidStateError if the state is not final.
    """
    if not state.is_terminal:
        raise InvalidStateError("final_state", "must be completed, failed or cancelled")
    if state is not JobState.COMPLETED:
        return state
    if signal in CANCELLING_SIGNALS:
        return JobState.CANCELLED
    return JobState.FAILED if signal or exit_code else JobState.COMPLETED
