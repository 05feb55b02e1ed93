"""Canonical JSON: RFC 8785, restricted so that every reader sees the same value.

Values are objects, arrays, strings, integers of at most 2^53 - 1 in magnitude, booleans and null.
Floats are refused (P-42): their printed form is where implementations disagree. Keys are sorted by
UTF-16 code units (RFC 8785 section 3.2.3), text is UTF-8 without lone surrogates.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NoReturn

from consent.formats.errors import FormatError, MalformedError

JSONValue = dict[str, "JSONValue"] | list["JSONValue"] | str | int | bool | None

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
# What it is given was made anew, and goes round in no circle.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_SCALARS = (str, bool, type(None))
_MAX_DIGITS = len(str(MAX_INTEGER)) + 1  # and a sign


def canonical_bytes(value: object) -> bytes:
    """Return the one UTF-8 encoding of a JSON value (RFC 8785 section 3.2).

    Raises:
        MalformedError: the value holds a float, a too large integer, a lone surrogate, a key that
            is no string, another type, or more than `MAX_DEPTH` levels.
    """
    return _utf8(_ENCODER.encode(_ordered(value, MAX_DEPTH)))


def sha256_hex(value: object) -> str:
    """Return SHA-256 over the canonical form, in lowercase hex: how documents are cited.

    Raises:
        MalformedError: as `canonical_bytes`.
    """
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def parse(data: bytes, *, canonical: bool = False) -> JSONValue:
    """Read JSON strictly (RFC 8259), refusing what `canonical_bytes` could not write.

    Args:
        data: UTF-8 without byte order mark.
        canonical: accept only the canonical bytes themselves.

    Raises:
        MalformedError: it is not JSON, an object repeats a key, or a value is refused.
    """
    try:
        value: JSONValue = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except FormatError:
        raise
    except (ValueError, RecursionError) as exc:
        raise MalformedError("not JSON") from exc
    # Written also where nobody asks for the form: what has none is refused.
    if canonical_bytes(value) != data and canonical:
        raise MalformedError("not the canonical form")
    return value


def _ordered(value: object, depth: int) -> object:
    if depth == 0:
        raise MalformedError(f"more than {MAX_DEPTH} levels")
    below = depth - 1
    if isinstance(value, list) and depth > 1:
        # Most items are texts: a call for each would be half the time of a long list.
        return [item if type(item) is str else _ordered(item, below) for item in value]
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise MalformedError("an integer above 2^53 - 1")
        return value
    if isinstance(value, list):
        return [_ordered(item, below) for item in value]
    if isinstance(value, dict):
        # The same for members.
        return {
            key: found if type(found := value[key]) is str and depth > 1 else _ordered(found, below)
            for key in _keys(value)
        }
    raise MalformedError(f"a {type(value).__name__} has no canonical form")


def _keys(value: dict[str, object]) -> list[str]:
    try:
        if "".join(value).isascii():
            return sorted(value)  # as UTF-16 orders them, in a third of the time
    except TypeError as exc:
        raise MalformedError("a key that is no string") from exc
    return sorted(value, key=_utf16)


def _utf16(key: str) -> bytes:
    # Big-endian bytes compare as their 16-bit units do.
    try:
        return key.encode("utf-16-be")
    except UnicodeEncodeError as exc:
        raise MalformedError("a lone surrogate") from exc


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise MalformedError("a lone surrogate") from exc


def _object(pairs: Sequence[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedError("an object repeats a key")
    return value


def _integer(digits: str) -> int:
    # Before int(), which takes quadratic time for long texts.
    if len(digits) > _MAX_DIGITS:
        raise MalformedError("an integer above 2^53 - 1")
    return int(digits)


def _refuse_number(_text: str) -> NoReturn:
    raise MalformedError("only integers are numbers here")
