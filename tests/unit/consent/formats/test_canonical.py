"""Canonical JSON (RFC 8785), restricted."""

from __future__ import annotations

import json
from enum import StrEnum

import pytest

from consent.formats.canonical import MAX_DEPTH, MAX_INTEGER, canonical_bytes, parse, sha256_hex
from consent.formats.errors import FormatError, MalformedError
from tests.support.vectors import load

VECTORS = load("canonical-json")


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_frozen_vectors_hold(case):
    data = bytes.fromhex(case["hex"])

    if case["expect"] == "malformed":
        with pytest.raises(MalformedError):
            parse(data)
    else:
        assert canonical_bytes(parse(data)) == bytes.fromhex(case["canonical_hex"])


def test_keys_are_sorted_by_utf16_code_units():
    """RFC 8785 section 3.2.3: the emoji's surrogates sort below U+FB33."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]

    written = json.loads(canonical_bytes(dict.fromkeys(keys, 0)))

    assert list(written) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_control_characters_have_the_short_escapes_where_there_are_any():
    assert canonical_bytes('\x0f\n\u20ac"\\/') == '"\\u000f\\n€\\"\\\\/"'.encode()


def test_equal_values_have_the_same_hash_however_they_were_written():
    assert sha256_hex(parse(b'{"b":[1, 2],"a":"\\u00e9"}')) == sha256_hex({"a": "é", "b": [1, 2]})


def test_an_enumeration_of_texts_is_written_as_its_text():
    class Event(StrEnum):
        READ = "data.read"

    assert canonical_bytes({"event": Event.READ}) == b'{"event":"data.read"}'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        {"a": float("nan")},
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        "\ud800",
        {"\udfff": 1},
        {1: 2},
        (1,),
        b"bytes",
        {"a": {1, 2}},
    ],
    ids=repr,
)
def test_values_without_one_spelling_are_refused(value):
    """P-42: floats above all."""
    with pytest.raises(MalformedError):
        canonical_bytes(value)


def test_depth_is_bounded_and_cycles_end():
    cycle = []
    cycle.append(cycle)
    value = deepest = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]

    assert parse(canonical_bytes(value)) == value
    for innermost in ([], "text"):
        deepest[:] = [innermost]
        for refused in (cycle, value):
            with pytest.raises(MalformedError):
                canonical_bytes(refused)


@pytest.mark.parametrize(
    "data",
    [
        *(b'{"a":1,"a":1}', b"1.0", b"1e3", b"NaN", b"-Infinity", b"[" * 100_000, b"9" * 5000),
        *(b'"\xff"', b'\xef\xbb\xbf""', b'"\\ud800"', b"", b"{", b'{"a":1}x', b"9007199254740992"),
    ],
    ids=lambda data: data[:20].decode("latin-1"),
)
def test_json_that_readers_could_take_differently_is_refused(data):
    with pytest.raises(FormatError):
        parse(data)


def test_only_the_canonical_bytes_pass_where_they_are_asked_for():
    assert parse(b'{"a":1,"b":2}', canonical=True) == {"a": 1, "b": 2}
    for other in (b'{"b":2,"a":1}', b'{"a": 1,"b":2}', b'{"a":1,"b":2}\n'):
        assert parse(other) == {"a": 1, "b": 2}
        with pytest.raises(MalformedError):
            parse(other, canonical=True)
