"""Split a JSON object into its parts, whatever is wrong within the entries of its lists.

A parser stops at the first fault: one ``NaN`` or a thousand brackets in one sample would cost the
whole batch. Here only strings and brackets are read, so that each entry can be parsed alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

# The limits of one body, because each bracket and member is read in Python: 10 MB of them take
# seconds. A batch of 5,000 samples with 16 GPUs each has 90,000 opening brackets.
MAX_BRACKETS = 1_000_000
MAX_MEMBERS = 100

_SPACE = re.compile(rb"[ \t\n\r]*")
# Possessive (++, *+): a string without an end is read once, and not again from each quote in it.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_OTHER = re.compile(rb'[^\s",:\[\]{}]+')
_OPENING = {ord("]"): ord("["), ord("}"): ord("{")}


@dataclass(frozen=True, slots=True)
class Parts:
    """An object whose lists hold a 0 for each entry, and the entries by the name of their list."""

    rest: bytes
    entries: dict[str, list[bytes]]


class _BrokenError(ValueError):
    """The text ends too early, or its brackets or commas do not fit."""


def split(body: bytes, lists: Collection[str]) -> Parts | None:
    """Return the parts of an object, or None if the text around the entries is not JSON.

    Return None as well if the body has more brackets or members than the limits.
    """
    if body.count(b"[") + body.count(b"{") > MAX_BRACKETS:
        return None
    entries: dict[str, list[bytes]] = {}
    members = []
    try:
        for key, value in _members(body):
            name = _text(key)
            if name in lists and value.startswith(b"["):
                entries[name] = [value[start:end] for start, end in _elements(value)]
                value = b"[" + b",".join([b"0"] * len(entries[name])) + b"]"  # noqa: PLW2901
            members.append(key + b":" + value)
            if len(members) > MAX_MEMBERS:
                return None
    except _BrokenError:
        return None
    return Parts(b"{" + b",".join(members) + b"}", entries)


def _members(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of an object that is the whole text."""
    end = len(body.rstrip(b" \t\n\r"))
    place = _after(body, _skip(body, 0), b"{")
    if body[place : place + 1] == b"}":
        place += 1
    else:
        while True:
            key_end = _end_of_value(body, place)
            value = _after(body, _skip(body, key_end), b":")
            value_end = _end_of_value(body, value)
            yield body[place:key_end], body[value:value_end]
            place = _skip(body, value_end)
            if body[place : place + 1] == b"}":
                place += 1
                break
            place = _after(body, place, b",")
    if place != end:
        raise _BrokenError


def _elements(array: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each element of an array begins and ends."""
    place = _after(array, 0, b"[")
    if array[place : place + 1] == b"]":
        return
    while True:
        end = _end_of_value(array, place)
        yield place, end
        place = _skip(array, end)
        if array[place : place + 1] == b"]":
            return
        place = _after(array, place, b",")


def _end_of_value(text: bytes, start: int) -> int:
    first = text[start : start + 1]
    if first in (b"[", b"{"):
        return _end_of_brackets(text, start)
    found = (_STRING if first == b'"' else _OTHER).match(text, start)
    if found is None:
        raise _BrokenError
    return found.end()


def _end_of_brackets(text: bytes, start: int) -> int:
    # A stack instead of recursion: the depth is the sender's choice.
    opened = bytearray()
    for token in _STRING_OR_BRACKET.finditer(text, start):
        kind = text[token.start()]
        if kind in b"[{":
            opened.append(kind)
        elif kind in b"]}":
            if opened.pop() != _OPENING[kind]:
                break
            if not opened:
                return token.end()
    raise _BrokenError


def _skip(text: bytes, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _after(text: bytes, place: int, mark: bytes) -> int:
    """Return the next place with content behind a mark. Raise _BrokenError if it is not there."""
    if text[place : place + 1] != mark:
        raise _BrokenError
    return _skip(text, place + 1)


def _text(key: bytes) -> str:
    try:
        return msgspec.json.decode(key, type=str)
    except msgspec.DecodeError:
        return ""
