"""The mapping of Slurm's states and exits to the contract's states."""

import pytest

from hpcobs.domain.errors import InvalidStateError
from hpcobs.domain.states import JobState, checked_final, from_slurm

TABLE = {
    "pending": "PENDING CONFIGURING REQUEUED RESIZING SUSPENDED RESV_DEL_HOLD REQUEUE_FED "
    "REQUEUE_HOLD SPECIAL_EXIT",
    "running": "RUNNING COMPLETING SIGNALING STAGE_OUT",
    "completed": "COMPLETED",
    "failed": "FAILED BOOT_FAIL DEADLINE NODE_FAIL OUT_OF_MEMORY TIMEOUT",
    "cancelled": "CANCELLED PREEMPTED REVOKED",
}
PAIRS = [(raw, state) for state, raws in TABLE.items() for raw in raws.split()]


@pytest.mark.parametrize(("raw", "state"), PAIRS)
def test_every_slurm_state_maps_to_one_state(raw: str, state: str) -> None:
    assert from_slurm(raw) is JobState(state)


@pytest.mark.parametrize("flagged", ["CANCELLED by 1000", "CANCELLED+", "cancelled", " CANCELLED "])
def test_flags_after_state_are_dropped(flagged: str) -> None:
    assert from_slurm(flagged) is JobState.CANCELLED


@pytest.mark.parametrize("unknown", ["", "  ", "+", "DONE", "RUNNINGX"])
def test_unknown_slurm_state_is_an_error(unknown: str) -> None:
    with pytest.raises(InvalidStateError) as caught:
        from_slurm(unknown)
    assert caught.value.field == "state"


@pytest.mark.parametrize(
    ("given", "exit_code", "signal", "final"),
    [
        ("completed", 0, 0, "completed"),
        ("completed", None, None, "completed"),
        ("completed", 3, 0, "failed"),
        ("completed", 0, 11, "failed"),
        ("completed", 0, 125, "failed"),
        ("completed", 0, 15, "cancelled"),
        ("completed", 0, 9, "cancelled"),
        ("completed", 9, 15, "cancelled"),
        ("failed", 0, 0, "failed"),
        ("failed", 0, 15, "failed"),
        ("cancelled", 0, 0, "cancelled"),
        ("cancelled", 1, 11, "cancelled"),
    ],
)
def test_completed_is_checked_against_exit_and_signal(
    given: str, exit_code: int | None, signal: int | None, final: str
) -> None:
    assert checked_final(JobState(given), exit_code=exit_code, signal=signal) == final


@pytest.mark.parametrize("state", ["pending", "running"])
def test_open_state_is_no_final_state(state: str) -> None:
    with pytest.raises(InvalidStateError, match="final_state"):
        checked_final(JobState(state), exit_code=None, signal=None)


def test_error_of_unknown_state_names_field() -> None:
    with pytest.raises(InvalidStateError, match="final_state: must be one of pending, running"):
        JobState.parse("done", field="final_state")
