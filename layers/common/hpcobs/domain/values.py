"""The rules of values that several routes receive: times, names, ids, and limits of numbers.

msgspec (batches), pydantic (bodies and queries) and the reader of Slurm's answers all use them, so
that a value counts as the same one wherever it comes in. A pattern is for a whole text, without
anchors, and means the same to Python, to pydantic's Rust and to ECMAScript.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_TEXT = 255
MAX_CLUSTER = 64

INT4_MAX = 2**31 - 1
INT8_MAX = 2**63 - 1
MEMORY_MB_MAX = 2**40
"""An exbibyte: its sum over 20,000 nodes, and its bytes, still fit into 64 bits."""
QUANTITY_MAX = 1e15
PERCENT_MAX = 100

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

JOB_ID = r"[A-Za-z0-9][A-Za-z0-9._+\[\]-]*"
GPU_ID = r"[^\x00-\x1f\x7f-\x9f]+"
CLUSTER = r"[A-Za-z0-9][A-Za-z0-9_-]*"
UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

# White space, control and format characters, separators, and U+FFFD, which stands for bytes that
# were lost. They are listed, because each engine has another idea of \s, and Unicode's versions
# differ. Characters past U+FFFF stand as they are: the three engines write them differently.
NODE = (
    r"[^\x00-\x20,\[\]\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]+"
)
JOB_ID_RULE = "must be a job's id: letters, digits and . _ + [ ] -, first a letter or digit"
GPU_ID_RULE = "may hold no control characters"
CLUSTER_RULE = "must be a cluster's name: letters, digits, _ and -"
UUID_RULE = "must be a UUID, such as 6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c"
NODE_RULE = "must be a node's name: no white space, comma, bracket, control or format character"

TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)

_TIME = re.compile(TIME)
_FIRST_YEAR, _END_YEAR = str(EARLIEST.year), str(LATEST.year)
_DIGITS_AS_ZEROS = str.maketrans("123456789", "000000000")
_FORMS_IN_UTC = {
    f"0000-00-00T00:00:00{fraction}Z"
    for fraction in ("", *(f".{'0' * digits}" for digits in range(1, 10)))
}
_NODE = re.compile(NODE)
_CLUSTER = re.compile(CLUSTER)


def moment(text: str) -> datetime:
    """Return an RFC 3339 time in UTC. Digits past the microsecond are cut off.

    PostgreSQL keeps microseconds. To round would move a time into the next second, or day. Raise
    ValueError if the text is no such time, or not between 1970 and 2200.
    """
    if not _TIME.fullmatch(text):
        raise ValueError("must be an RFC 3339 time with its zone, such as 2026-01-31T12:00:00Z")
    try:
        # RFC 3339 allows "t" and "z" in lower case, fromisoformat does not in every version.
        time = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError("is not a time that exists") from None
    # Checked before the conversion, which overflows in the years 1 and 9999.
    if not EARLIEST <= time < LATEST:
        raise ValueError("must be between 1970 and 2200")
    # Most times are in UTC already, and the conversion takes as long as all the rest.
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def moments(texts: Collection[str]) -> dict[str, datetime]:
    """Return the ``moment`` of each text, in a third of the time where all are in UTC."""
    # Not a match for each, which takes longer than fromisoformat. That checks the numbers, but some
    # versions take 24:00 for the next day.
    joined = "\n".join(texts)
    if "+" in joined:
        joined = joined.replace("+00:00", "Z")
    if _FORMS_IN_UTC.issuperset(joined.translate(_DIGITS_AS_ZEROS).split("\n")):
        with suppress(ValueError):
            # Texts in UTC are in the order of their times, and are compared in less time.
            if "T24" not in joined and min(texts) >= _FIRST_YEAR and max(texts) < _END_YEAR:
                return dict(zip(texts, map(datetime.fromisoformat, texts), strict=True))
    return {text: moment(text) for text in texts}


def is_node(name: str) -> bool:
    """Return whether a text can be a node's name."""
    return len(name) <= MAX_TEXT and _NODE.fullmatch(name) is not None


def is_cluster(name: str) -> bool:
    """Return whether a text can be a cluster's name."""
    return len(name) <= MAX_CLUSTER and _CLUSTER.fullmatch(name) is not None
