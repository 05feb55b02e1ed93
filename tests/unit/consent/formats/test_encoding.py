"""Base64 with one spelling for each value (RFC 4648 section 3.5)."""

from __future__ import annotations

import pytest

from consent.formats.encoding import b64, b64_decode, b64u, b64u_decode, is_sha256_hex
from consent.formats.errors import MalformedError


def test_both_alphabets_come_back():
    data = bytes(range(256))

    assert b64_decode(b64(data)) == data
    assert b64u_decode(b64u(data), length=256) == data
    assert "=" not in b64u(b"a")


@pytest.mark.parametrize("text", ["YR==", "YQ", "YQ=", "Y Q==", "YQ==\n", "é", "_-__", "=", "Y"])
def test_base64_with_another_spelling_is_refused(text):
    with pytest.raises(MalformedError):
        b64_decode(text)


@pytest.mark.parametrize("text", ["YR", "YQ==", "Y Q", "YQ\n", "é", "+/++", "Y"])
def test_base64url_with_another_spelling_is_refused(text):
    with pytest.raises(MalformedError):
        b64u_decode(text)


def test_another_length_than_asked_is_refused():
    with pytest.raises(MalformedError):
        b64_decode("YQ==", length=2)


def test_sha256_hex_is_lowercase_and_whole():
    assert is_sha256_hex("0f" * 32)
    for text in ("0F" * 32, "0f" * 31, "0f" * 32 + "\n", "\u0660" * 64):
        assert not is_sha256_hex(text)
