"""A time limit for calls that have none of their own, such as those of a driver.

It covers a whole call, name look-up and connecting included. After the limit the call still runs,
but its caller no longer waits. ``hpcobs.storage.connections.watched`` is different: it limits the
silence on an open connection of the database, however long the call takes, and cuts the connection.
"""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from hpcobs.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

# Short, because the client of a health check or a scrape waits meanwhile.
LIMIT_SECONDS = 2.0


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return or raise the result of ``call``. Raise UnavailableError after ``seconds``.

    The call then continues in its thread, and its result is dropped.
    """
    # Not an executor: it would wait for the call at the end of its block, or at exit.
    result: Future[Result] = Future()
    Thread(target=_run, args=(call, result), daemon=True).start()
    try:
        return result.result(seconds)
    except TimeoutError:
        raise UnavailableError(f"no response within {seconds:g} s", deadline=True) from None


def _run(call: Callable[[], Result], result: Future[Result]) -> None:
    try:
        result.set_result(call())
    except Exception as error:  # noqa: BLE001 - it is raised where the result is waited for
        result.set_exception(error)
