"""Secrets that people and programs hold: tokens, cookies, codes (P-3).

    pds_at.<base64url(selector 16 B || secret 32 B)>.<CRC-32 of what precedes, 8 hex digits>

kinds: `at` access token, `rt` refresh token, `ac` authorization code, `s` sign-in cookie, `u`
unlock cookie, `ad` auditor access, `as` auditor's sign-in cookie, `iv` invitation, `ir`
registration of clients, `ll` link of a limited sign-in, `ls` its cookie, `pa` personal app. The
selector finds the row; of the secret the database keeps a verifier only, and the key that the
secret wraps is derived under another label (TAK-28). The CRC lets secret scanners tell a real one
from noise; it protects nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import zlib
from dataclasses import dataclass, field
from typing import Literal, cast
from uuid import UUID

from pds.crypto.labels import SESSION_KEK, SESSION_LOOKUP, TOKEN_KEK, TOKEN_LOOKUP, derive

TokenKind = Literal["at", "rt", "ac", "s", "u", "ad", "as", "iv", "ir", "ll", "ls", "pa"]

SECRET_BYTES = 32
# 48 bytes are 64 characters of base64url, without padding; `_` is one of them, so the text is
# never split on it.
_TEXT = re.compile(
    r"pds_(at|rt|ac|s|u|ad|as|iv|ir|ll|ls|pa)\.([A-Za-z0-9_-]{64})\.([0-9a-f]{8})", re.ASCII
)
_COOKIE_KINDS = ("s", "u", "ls", "as")


@dataclass(frozen=True, slots=True)
class TokenSecret:
    """A parsed or fresh secret; its `repr` shows the selector only."""

    kind: TokenKind
    selector: UUID
    secret: bytes = field(repr=False)

    def text(self) -> str:
        """Return the text form, to be handed to its holder once and never stored."""
        body = base64.urlsafe_b64encode(self.selector.bytes + self.secret).decode("ascii")
        head = f"pds_{self.kind}.{body}"
        return f"{head}.{zlib.crc32(head.encode('ascii')):08x}"

    def verifier(self) -> bytes:
        """Return what the database may keep: 32 bytes that open nothing."""
        label = SESSION_LOOKUP if self.kind in _COOKIE_KINDS else TOKEN_LOOKUP
        return derive(self.secret, label, self.kind.encode())

    def kek(self) -> bytes:
        """Return the 32-byte key that this secret wraps keys with; never stored."""
        label = SESSION_KEK if self.kind in _COOKIE_KINDS else TOKEN_KEK
        return derive(self.secret, label, self.kind.encode())

    def matches(self, verifier: bytes) -> bool:
        """Tell, in constant time, whether the stored verifier is this secret's."""
        return hmac.compare_digest(self.verifier(), verifier)


def mint(kind: TokenKind, selector: UUID) -> TokenSecret:
    """Make a fresh secret of 256 random bits for a row that `selector` finds."""
    return TokenSecret(kind, selector, os.urandom(SECRET_BYTES))


def parse(text: str, *kinds: TokenKind) -> TokenSecret | None:
    """Read the text form strictly; None for anything else, and for a kind not in `kinds`."""
    match = _TEXT.fullmatch(text)
    if match is None or match[1] not in kinds:
        return None
    head, crc = text[:-9], match[3]
    if f"{zlib.crc32(head.encode('ascii')):08x}" != crc:
        return None
    try:
        raw = base64.b64decode(match[2], altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    return TokenSecret(cast("TokenKind", match[1]), UUID(bytes=raw[:16]), raw[16:])
