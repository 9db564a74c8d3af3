"""The format of a batch file: lines that can be appended one by one and checked one by one.

``B <crc> 0 {"node":…,"batch_id":…}`` opens a batch, ``S <crc> <count> {…},{…}`` adds the samples of
one pass, ``H <crc> 0 {…}`` says what the host is like now. The CRC-32 is of all else in the line.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple

from hpcobs_forwarder.spool.ids import new_uuid

OPENING, SAMPLES, HOST = b"B", b"S", b"H"


class DamagedBatchError(ValueError):
    """The file is not a batch, or its opening line is lost."""


class Batch(NamedTuple):
    """A batch as read back. ``damaged`` lines were lost; ``torn`` is a last line cut short."""

    opening: dict[str, Any]
    passes: tuple[bytes, ...]
    samples: int
    host: bytes | None
    damaged: int
    torn: bool

    def body(self) -> bytes:
        """The batch as the contract's JSON. The samples are copied as they are, not parsed."""
        opening = encode(self.opening)[:-1]
        host = b"" if self.host is None else b',"host":' + self.host
        return b'%s,"samples":[%s]%s}' % (opening, b",".join(self.passes), host)


def encode(value: Any) -> bytes:
    """``value`` as compact JSON; ValueError for a number that JSON does not have."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def opening_line(node: str, cluster_name: str | None) -> bytes:
    """The first line of a new batch."""
    opening = {"node": node, "batch_id": new_uuid()}
    if cluster_name:
        opening["cluster_name"] = cluster_name
    return _line(OPENING, 0, encode(opening))


def samples_line(samples: list[dict[str, Any]]) -> bytes:
    """The line for one pass."""
    return _line(SAMPLES, len(samples), encode(samples)[1:-1])


def host_line(host: dict[str, Any]) -> bytes:
    """The line for the host."""
    return _line(HOST, 0, encode(host))


def _line(kind: bytes, count: int, content: bytes) -> bytes:
    rest = b"%d %s" % (count, content)
    return b"%s %08x %s\n" % (kind, zlib.crc32(rest, zlib.crc32(kind)), rest)


def decode(data: bytes) -> Batch:
    """The batch in ``data``, without its damaged lines; DamagedBatchError if it is none."""
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
    )


def _checked(line: bytes) -> tuple[bytes, int, bytes] | None:
    kind, _, rest = line.partition(b" ")
    crc, _, rest = rest.partition(b" ")
    count, _, content = rest.partition(b" ")
    if crc != b"%08x" % zlib.crc32(rest, zlib.crc32(kind)) or not count.isdigit():
        return None
    return kind, int(count), content


def halves(batch: Batch) -> tuple[bytes, bytes] | None:
    """The batch as two files with new batch ids; None if it is a single sample."""
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
