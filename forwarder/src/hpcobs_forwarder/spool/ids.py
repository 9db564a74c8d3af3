"""Identifiers of batches."""

from __future__ import annotations

import os


def new_uuid() -> str:
    """A random UUID (RFC 9562, version 4). ``uuid`` would cost 0.5 MiB of memory."""
    octets = bytearray(os.urandom(16))
    octets[6] = octets[6] & 0x0F | 0x40
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
