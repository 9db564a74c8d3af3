"""A limit on the time of calls that cannot be given up in any other way, such as a driver's."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from hpcobs.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

LIMIT_SECONDS = 2.0


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """What ``call`` gives or raises; UnavailableError after ``seconds``, and it is left behind."""
    answer: Future[Answer] = Future()
    Thread(target=_run, args=(call, answer), daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        raise UnavailableError(f"no answer within {seconds:g} s", deadline=True) from None


def _run(call: Callable[[], Answer], answer: Future[Answer]) -> None:
    try:
        answer.set_result(call())
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
        answer.set_exception(error)
