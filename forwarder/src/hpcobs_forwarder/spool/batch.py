"""The format of a batch file: lines that are appended one by one and checked one by one.

``B <crc> 0 {"node":…,"batch_id":…}`` opens a batch, ``S <crc> <count> {…},{…}`` adds the samples of
one pass, ``H <crc> 0 {…}`` describes the host. The CRC-32 covers everything else in the line.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from typing import Any, NamedTuple

OPENING, SAMPLES, HOST = b"B", b"S", b"H"

# Any beginning of an opening line.
_UNBORN = re.compile(rb"(?:B(?: (?:[0-9a-f]{0,8}|[0-9a-f]{8} (?:0(?: (?:\{[ -~]*)?)?)?))?)?")

_DAMAGED = re.compile(rb"^S [0-9a-f]{8} ([0-9]{1,4}) ", re.MULTILINE)


class DamagedBatchError(ValueError):
    """The file is not a batch, or its opening line is lost."""


class Batch(NamedTuple):
    """A decoded batch. ``damaged`` counts lost lines, and ``lost`` has them as they are.

    ``torn`` means that the last line is cut.
    """

    opening: dict[str, Any]
    passes: tuple[bytes, ...]
    samples: int
    host: bytes | None
    damaged: int
    torn: bool
    lost: bytes = b""

    def body(self) -> bytes:
        """Return the batch as the JSON of the contract."""
        opening = encode(self.opening)[:-1]
        host = b"" if self.host is None else b',"host":' + self.host
        # The samples are copied as bytes: parsing them would cost time and memory at each push.
        return b'%s,"samples":[%s]%s}' % (opening, b",".join(self.passes), host)


def encode(value: Any) -> bytes:
    """Return ``value`` as compact JSON. Raise ValueError for NaN and infinity."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def opening_line(node: str, cluster_name: str | None) -> bytes:
    """Return the first line of a new batch, with a new batch id."""
    opening = {"node": node, "batch_id": _new_uuid()}
    if cluster_name:
        opening["cluster_name"] = cluster_name
    return _line(OPENING, 0, encode(opening))


def samples_line(samples: list[dict[str, Any]]) -> bytes:
    """Return the line for the samples of one pass."""
    return _line(SAMPLES, len(samples), encode(samples)[1:-1])


def host_line(host: dict[str, Any]) -> bytes:
    """Return the line for the host."""
    return _line(HOST, 0, encode(host))


def _line(kind: bytes, count: int, content: bytes) -> bytes:
    rest = b"%d %s" % (count, content)
    return b"%s %08x %s\n" % (kind, zlib.crc32(rest, zlib.crc32(kind)), rest)


def _new_uuid() -> str:
    """Return a random UUID (RFC 9562, version 4)."""
    # The module uuid would cost 0.5 MiB of memory on every node.
    octets = bytearray(os.urandom(16))
    octets[6] = octets[6] & 0x0F | 0x40
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def decode(data: bytes) -> Batch:
    """Return the batch in ``data`` without its damaged lines.

    Raise DamagedBatchError if no line can be read or the first good line is no opening line.
    """
    lines = data.split(b"\n")
    torn = lines.pop() != b""
    checked = [_checked(line) for line in lines]
    whole = [line for line in checked if line is not None]
    if not whole or whole[0][0] != OPENING:
        raise DamagedBatchError("no opening line")
    hosts = [content for kind, _, content in whole if kind == HOST]
    return Batch(
        opening=json.loads(whole[0][2]),
        passes=tuple(content for kind, _, content in whole if kind == SAMPLES and content),
        samples=sum(count for kind, count, _ in whole if kind == SAMPLES),
        host=hosts[-1] if hosts else None,
        damaged=len(checked) - len(whole),
        torn=torn,
        lost=b"".join(line + b"\n" for line, good in zip(lines, checked) if good is None),
    )


def is_unborn(data: bytes) -> bool:
    """Return whether a file ends before its opening line does, as after a kill at its start."""
    return _UNBORN.fullmatch(data) is not None


def samples_in(damaged: bytes) -> int:
    """Return how many samples the damaged lines had, as far as they show it."""
    return sum(int(count) for count in _DAMAGED.findall(damaged))


def _checked(line: bytes) -> tuple[bytes, int, bytes] | None:
    kind, _, rest = line.partition(b" ")
    crc, _, rest = rest.partition(b" ")
    count, _, content = rest.partition(b" ")
    if crc != b"%08x" % zlib.crc32(rest, zlib.crc32(kind)) or not count.isdigit():
        return None
    return kind, int(count), content


def halves(batch: Batch) -> tuple[bytes, bytes] | None:
    """Return the batch as two files with new batch ids, or None if it has less than two samples."""
    samples = json.loads(b"[%s]" % b",".join(batch.passes))
    middle = len(samples) // 2
    if not middle:
        return None
    node, cluster_name = batch.opening["node"], batch.opening.get("cluster_name")
    host = b"" if batch.host is None else _line(HOST, 0, batch.host)
    return (
        opening_line(node, cluster_name) + samples_line(samples[:middle]) + host,
        opening_line(node, cluster_name) + samples_line(samples[middle:]),
    )
