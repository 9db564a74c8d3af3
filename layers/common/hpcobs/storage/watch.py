"""A limit on a database's silence, for when it cannot keep its own limits any more.

statement_timeout and lock_timeout are the server's; one that is frozen, or whose disk is, keeps
none.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class HungError(psycopg.OperationalError):
    """The database does not answer, though it has not hung up."""


@contextmanager
def watched(connection: psycopg.Connection[Any], *, seconds: float) -> Iterator[Callable[[], None]]:
    """Hang up, with HungError, on a database that is silent for ``seconds``.

    What this gives is to be called whenever something was heard.
    """
    over, silent = threading.Event(), threading.Event()
    heard_at = time.monotonic()

    def heard() -> None:
        nonlocal heard_at
        heard_at = time.monotonic()

    def watch() -> None:
        while not over.wait(max(0.0, heard_at + seconds - time.monotonic())):
            if time.monotonic() >= heard_at + seconds:
                silent.set()
                line.shutdown(socket.SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        watcher.start()
        try:
            yield heard
        except psycopg.OperationalError as error:
            if silent.is_set():
                raise HungError("the database does not answer") from error
            raise
        finally:
            over.set()
            watcher.join()
