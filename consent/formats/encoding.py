"""Base64 and hex with one spelling for each value (RFC 4648 section 3.5).

Python's decoders ignore stray trailing bits, so two texts could stand for the same bytes; a text
that would not be written again is refused here.
"""

from __future__ import annotations

import base64
import binascii
import re

from consent.formats.errors import MalformedError

_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")


def b64(data: bytes) -> str:
    """Return standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def b64_decode(text: str, *, length: int | None = None) -> bytes:
    """Invert `b64`; with `length`, in bytes, accept only that many.

    Raises:
        MalformedError: not base64, not the one spelling, or not that length.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as exc:
        raise MalformedError("not base64") from exc
    if b64(data) != text:
        raise MalformedError("not the canonical base64 spelling")
    return _sized(data, length)


def b64u(data: bytes) -> str:
    """Return base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def b64u_decode(text: str, *, length: int | None = None) -> bytes:
    """Invert `b64u`; with `length`, in bytes, accept only that many.

    Raises:
        MalformedError: not base64url, not the one spelling, or not that length.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as exc:
        raise MalformedError("not base64url") from exc
    if b64u(data) != text:
        raise MalformedError("not the canonical base64url spelling")
    return _sized(data, length)


def is_sha256_hex(text: str) -> bool:
    """Tell whether `text` is a SHA-256 value in 64 lowercase hexadecimal digits."""
    return _HEX_SHA256.fullmatch(text) is not None


def _sized(data: bytes, length: int | None) -> bytes:
    if length is not None and len(data) != length:
        raise MalformedError(f"{len(data)} bytes where {length} are due")
    return data
