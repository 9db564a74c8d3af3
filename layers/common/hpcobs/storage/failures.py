"""Why a database cannot be used: one classification, for every caller that connects.

libpq gives a failed connection no SQLSTATE, only the texts of the server and its own. They are in
English unless the server's ``lc_messages`` is set otherwise. A text that is not known counts as
final: its cause is shown at once, and not after the time of all tries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Mapping


class Cause(Enum):
    """What is wrong. The value is the message's first part."""

    PASSWORD = "the database rejects the password"  # noqa: S105 - a message
    USER = "the database rejects the user"
    DATABASE = "the database of that name cannot be used"
    TLS = "there is no trusted TLS connection to the database"
    CREDENTIALS = "there are no AWS credentials to log in with"
    OTHER = "the database rejects the connection"
    BUSY = "the database accepts no more connections"
    STARTING = "the database is starting or stopping"
    UNREACHABLE = "the database cannot be reached"


TRANSIENT = frozenset({Cause.BUSY, Cause.STARTING, Cause.UNREACHABLE})
"""Causes that may pass. All others stay until an operator changes something."""

NO_CREDENTIALS = "no IAM token"

# In this order: one text may hold several attempts (IPv6 and IPv4, with and without TLS), of which
# some are only unreachable. What an operator must change is shown first.
_TEXTS: tuple[tuple[Cause, str], ...] = (
    (Cause.CREDENTIALS, NO_CREDENTIALS),
    (Cause.PASSWORD, r"authentication failed|password supplied|empty password|password.*expired"),
    (
        Cause.USER,
        r'role ".*" does not exist|not permitted to log in|pg_hba\.conf|permission denied',
    ),
    (Cause.DATABASE, r'database ".*" (does not exist|is not currently accepting)'),
    (Cause.BUSY, r"too many (clients|connections)|connection slots|connection limit"),
    (
        Cause.STARTING,
        r"starting up|shutting down|not yet accepting|in recovery mode|admin shutdown",
    ),
    (Cause.TLS, r"support SSL|certificate|sslmode|SSL error|tlsv1|unsupported protocol"),
    (Cause.OTHER, r"FATAL: "),
)
_STATES: Mapping[str, Cause] = {
    "28P01": Cause.PASSWORD,
    "28000": Cause.USER,
    "42501": Cause.USER,
    "3D000": Cause.DATABASE,
    "55000": Cause.DATABASE,
    "53300": Cause.BUSY,
    "57P01": Cause.STARTING,
    "57P02": Cause.STARTING,
    "57P03": Cause.STARTING,
}
_BY_URL: Mapping[Cause, str] = {
    Cause.PASSWORD: "the password in DATABASE_URL, or in the file that PGPASSFILE names",
    Cause.USER: "the user in DATABASE_URL",
    Cause.DATABASE: "the database in DATABASE_URL",
    Cause.TLS: "sslmode and sslrootcert in DATABASE_URL",
    Cause.OTHER: "DATABASE_URL",
    Cause.UNREACHABLE: "host and port in DATABASE_URL",
}
_BY_PARTS: Mapping[Cause, str] = {
    Cause.PASSWORD: "DB_USER and DB_IAM_AUTH, and that the role may do rds-db:connect",
    Cause.USER: "DB_USER",
    Cause.DATABASE: "DB_NAME",
    Cause.TLS: "PGSSLROOTCERT",
    Cause.CREDENTIALS: "DB_IAM_AUTH and AWS_REGION",
    Cause.OTHER: "DB_HOST, DB_NAME and DB_USER",
    Cause.UNREACHABLE: "DB_HOST and DB_PORT",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed connection. ``reason`` is the driver's or the server's text, in one line."""

    cause: Cause
    reason: str

    @property
    def transient(self) -> bool:
        """Whether another try may succeed."""
        return self.cause in TRANSIENT

    def line(self, *, by_parts: bool = False) -> str:
        """Return one line with the cause, the reason and the variables to check."""
        variables = (_BY_PARTS if by_parts else _BY_URL).get(self.cause)
        check = f" (check {variables})" if variables else ""
        return f"{self.cause.value}: {self.reason}{check}"


def failure(error: psycopg.Error) -> Failure:
    """Classify the error of a connection, or of a statement that lost it."""
    text = str(error)
    if (cause := _STATES.get(error.sqlstate or "")) is not None:
        return Failure(cause, _reason(text))
    for cause, pattern in _TEXTS:
        if (found := re.search(rf"^.*(?:{pattern}).*$", text, re.MULTILINE)) is not None:
            return Failure(cause, _reason(found[0]))
    return Failure(Cause.UNREACHABLE, _reason(text))


class ConnectError(psycopg.OperationalError):
    """No connection could be opened. The text is one line for operators, not for clients."""

    def __init__(self, why: Failure, *, by_parts: bool) -> None:
        super().__init__(why.line(by_parts=by_parts))
        self.failure = why


_PREFIX = re.compile(r"^(?:- host: .*?: )?(?:connection (?:failed|is bad): )?(?:.*FATAL:\s+)?")


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    first = lines[0] if lines else "no reason was given"
    return _PREFIX.sub("", first) or first
