"""A limit on a database's silence, for when it cannot keep its own limits any more.

statement_timeout and lock_timeout are the server's; one that is frozen, or whose disk is, keeps
none.
"""

from __future__ import annotations

import os
import socket
import threading
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
    heard, over, silent = (threading.Event() for _ in range(3))

    def watch() -> None:
        while heard.wait(seconds):
            heard.clear()
            if over.is_set():
                return
        silent.set()
        line.shutdown(socket.SHUT_RDWR)

    watcher = threading.Thread(target=watch, daemon=True)
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        watcher.start()
        try:
            yield heard.set
        except psycopg.OperationalError as error:
            if silent.is_set():
                raise HungError("the database does not answer") from error
            raise
        finally:
            over.set()
            heard.set()
            watcher.join()
