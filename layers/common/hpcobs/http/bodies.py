"""A request's body as bytes: base64 and gzip undone, within limits, and its type checked."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from isal import igzip_lib, isal_zlib

from hpcobs.http.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit of a request, kept for what unpacks from it too."""

_GZIP_WBITS = 31
_GZIP = ("gzip", "x-gzip")


def read_body(event: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
    """The body of an API Gateway event, unpacked; one of this module's errors if it cannot be."""
    _check_type(headers.get("content-type"))
    body = _raw(event)
    if len(body) > MAX_BODY_BYTES:
        raise _too_large()
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in _GZIP:
        return _unpacked(body)
    if coding in ("", "identity"):
        return body
    raise UnsupportedMediaTypeError("Content-Encoding must be gzip or absent")


def _raw(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return text.encode(errors="surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError("the body is not valid base64") from None


def _check_type(content_type: str | None) -> None:
    """JSON, by any of its names, in UTF-8. A body of no type is taken for JSON."""
    if not content_type:
        return
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    json = name == "application/json" or (
        name.startswith("application/") and name.endswith("+json")
    )
    charsets = {
        value.strip("\"'") for key, _, value in map(_partition, parameters) if key == "charset"
    }
    if not json or not charsets <= {"utf-8", "utf8"}:
        raise UnsupportedMediaTypeError("Content-Type must be application/json, in UTF-8")


def _partition(parameter: str) -> tuple[str, str, str]:
    return parameter.partition("=")


def _unpacked(body: bytes) -> bytes:
    unpacker = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
    try:
        content: bytes = unpacker.decompress(body, max_length=MAX_BODY_BYTES + 1)
    except igzip_lib.IsalError:  # type: ignore[misc] # the stub calls it an instance
        raise InvalidRequestError("the body is not valid gzip") from None
    if len(content) > MAX_BODY_BYTES:
        raise _too_large()
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidRequestError("the body is not one complete gzip stream")
    return content


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(f"a body may have {MAX_BODY_BYTES} bytes at the most, unpacked")
