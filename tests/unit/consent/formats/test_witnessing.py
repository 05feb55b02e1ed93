"""Requests and answers of C2SP tlog-witness."""

from __future__ import annotations

import hashlib

import pytest

from consent.formats.errors import MalformedError
from consent.formats.witnessing import (
    AddCheckpoint,
    monitoring_path,
    parse_size_body,
    size_body,
)
from tests.support.vectors import load

VECTORS = load("witness")
MALFORMED_HEADS = [
    case
    for case in VECTORS["cases"]
    if case["name"].startswith(("empty", "no-old", "no-blank", "old-with", "old-neg", "old-too"))
    and case["expect"] == 400
]


@pytest.mark.parametrize(
    "case", [each for each in VECTORS["cases"] if each["expect"] != 400], ids=lambda c: c["name"]
)
def test_a_request_comes_back(case):
    assert AddCheckpoint.from_text(case["request"]).to_text() == case["request"]


@pytest.mark.parametrize("case", MALFORMED_HEADS, ids=lambda c: c["name"])
def test_what_is_no_request_is_malformed(case):
    with pytest.raises(MalformedError):
        AddCheckpoint.from_text(case["request"])


@pytest.mark.parametrize(
    "request_",
    [
        AddCheckpoint(-1, (), "x"),
        AddCheckpoint(2**63, (), "x"),
        AddCheckpoint(1, (b"short",), "x"),
        AddCheckpoint(1, (bytes(32),) * 64, "x"),
    ],
    ids=["negative", "too-large", "short-hash", "64-hashes"],
)
def test_what_cannot_be_read_is_not_written(request_):
    with pytest.raises(MalformedError):
        request_.to_text()


def test_the_size_of_a_conflict_is_a_number_in_a_line():
    assert parse_size_body(size_body(13)) == 13
    for body in ("", "13", "13\n\n", "013\n", "-1\n", " 13\n", "9223372036854775808\n", "\u0661\n"):
        with pytest.raises(MalformedError):
            parse_size_body(body)


def test_the_monitoring_path_is_the_hash_of_the_origin():
    digest = hashlib.sha256(b"example.com/behind-the-sofa").hexdigest()

    assert monitoring_path("example.com/behind-the-sofa") == f"/{digest}/checkpoint"
