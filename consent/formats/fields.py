"""Reading JSON members strictly: the name of what is wrong goes into every error.

`where` is the path of the value, such as `entries[3].event`, so that a verifier can name it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeVar

from consent.formats.canonical import MAX_INTEGER, JSONValue
from consent.formats.encoding import b64_decode, b64u_decode, is_sha256_hex
from consent.formats.errors import MalformedError

MAX_TEXT = 1024
MAX_LONG_TEXT = 1 << 20

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_T = TypeVar("_T")


def members(
    value: object, where: str, *, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, JSONValue]:
    """Return an object that has exactly the members named, or raise MalformedError."""
    found = mapping(value, where)
    for name in required:
        if name not in found:
            raise MalformedError(f"{where}: {name} is missing")
    for name in found:
        if name not in required and name not in optional:
            raise MalformedError(f"{where}: unknown member {name!r}")
    return found


def mapping(value: object, where: str) -> dict[str, JSONValue]:
    """Return a JSON object, whatever its members, or raise MalformedError."""
    if not isinstance(value, dict):
        raise MalformedError(f"{where}: not an object")
    return value


def items(value: object, where: str) -> list[JSONValue]:
    """Return a JSON array, or raise MalformedError."""
    if not isinstance(value, list):
        raise MalformedError(f"{where}: not an array")
    return value


def text(value: object, where: str) -> str:
    """Return a text of 1 to 1,024 characters, or raise MalformedError."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT:
        raise MalformedError(f"{where}: not a text of 1 to {MAX_TEXT} characters")
    return value


def long_text(value: object, where: str) -> str:
    """Return a text of at most 1 MiB characters, such as a note, or raise MalformedError."""
    if not isinstance(value, str) or len(value) > MAX_LONG_TEXT:
        raise MalformedError(f"{where}: not a text of at most {MAX_LONG_TEXT} characters")
    return value


def integer(value: object, where: str, *, least: int) -> int:
    """Return an integer from `least` to 2^53 - 1, or raise MalformedError."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_INTEGER:
        raise MalformedError(f"{where}: not an integer from {least}")
    return value


def boolean(value: object, where: str) -> bool:
    """Return true or false, or raise MalformedError."""
    if not isinstance(value, bool):
        raise MalformedError(f"{where}: not true or false")
    return value


def digest(value: object, where: str) -> str:
    """Return a SHA-256 value in lowercase hex, or raise MalformedError."""
    if not isinstance(value, str) or not is_sha256_hex(value):
        raise MalformedError(f"{where}: not a SHA-256 value in lowercase hex")
    return value


def instant(value: object, where: str) -> str:
    """Return an RFC 3339 instant in whole seconds with Z, or raise MalformedError."""
    # Of one form, instants compare as texts do.
    if not isinstance(value, str) or _INSTANT.fullmatch(value) is None:
        raise MalformedError(f"{where}: not an instant like 2026-03-01T12:00:00Z")
    try:
        datetime.fromisoformat(value)
    except ValueError as exc:
        raise MalformedError(f"{where}: no such instant") from exc
    return value


def distinct_texts(value: object, where: str) -> tuple[str, ...]:
    """Return an array of texts, none twice, or raise MalformedError."""
    found = each(text, value, where)
    if len(set(found)) != len(found):
        raise MalformedError(f"{where}: names one twice")
    return found


def base64_bytes(value: object, where: str, *, length: int | None = None) -> bytes:
    """Return what standard base64 stands for, or raise MalformedError."""
    return _decoded(b64_decode, value, where, length)


def base64url_bytes(value: object, where: str, *, length: int | None = None) -> bytes:
    """Return what unpadded base64url stands for, or raise MalformedError."""
    return _decoded(b64u_decode, value, where, length)


def each(read: Callable[[object, str], _T], value: object, where: str) -> tuple[_T, ...]:
    """Return an array's items as `read` returns them, each with its own path."""
    return tuple(read(item, f"{where}[{at}]") for at, item in enumerate(items(value, where)))


def optional(read: Callable[[object, str], _T], value: object, where: str) -> _T | None:
    """Return null as None and anything else as `read` returns it."""
    return None if value is None else read(value, where)


def _decoded(decode: Callable[..., bytes], value: object, where: str, length: int | None) -> bytes:
    if not isinstance(value, str):
        raise MalformedError(f"{where}: not a text")
    try:
        return decode(value, length=length)
    except MalformedError as exc:
        raise MalformedError(f"{where}: {exc}") from exc
