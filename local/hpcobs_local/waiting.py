"""Work that a cancellation must not cut, and work that must not delay the end of the process."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def uncancelled(work: Awaitable[T]) -> T:
    """Return the result of ``work``. A cancellation takes effect only when it is done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


async def abandonable(call: Callable[[], T]) -> T:
    """Return the result of ``call`` from a thread, for which the process's end does not wait.

    A cancellation leaves the thread to itself. asyncio.to_thread is not for calls that may block
    for long: the process cannot end before they return.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def report(set_it: Callable[[], None]) -> None:
        # The loop is closed if the process is ending, and then nobody waits for the result.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if result.done() else set_it())

    def run() -> None:
        try:
            value = call()
        except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
            failure = error
            report(lambda: result.set_exception(failure))
        else:
            report(lambda: result.set_result(value))

    threading.Thread(target=run, daemon=True).start()
    return await result
