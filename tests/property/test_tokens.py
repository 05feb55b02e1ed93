"""Token text: one strict parser, and keys that no database has (P-3, TAK-27 to TAK-30)."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.crypto.labels import derive
from pds.crypto.secrets import TokenSecret, mint, parse
from pds.ids import random_uuid
from tests.support.vectors import load

unhurried = settings(deadline=None)
KINDS = ("at", "rt", "ac", "s", "u", "iv", "ir", "ll", "ls")
VECTORS = load("tokens")["tokens"]
secrets = st.builds(
    TokenSecret,
    st.sampled_from(KINDS),
    st.uuids(),
    st.binary(min_size=32, max_size=32),
)


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_the_frozen_tokens_parse_or_fail_as_they_always_did(case):
    """REL-R9, P-3."""
    found = parse(case["text"], *KINDS)

    if case["expect"] == "malformed":
        assert found is None
        return
    assert (found.kind, str(found.selector), found.secret.hex()) == (
        case["kind"],
        case["selector"],
        case["secret"],
    )
    assert (found.verifier().hex(), found.kek().hex()) == (case["verifier"], case["kek"])
    assert found.text() == case["text"]


@unhurried
@given(secrets)
def test_a_token_is_read_back_as_its_own_kind_alone(secret):
    """P-3: `_` is in the alphabet, so nothing is split on it (TAK-27)."""
    assert parse(secret.text(), secret.kind) == secret
    others = [kind for kind in KINDS if kind != secret.kind]
    assert parse(secret.text(), *others) is None
    assert parse(secret.text()) is None


@unhurried
@given(secrets, st.data())
def test_one_changed_character_is_no_token(secret, data):
    """The checksum: a scanner tells a token from noise, and nothing else is read."""
    text = secret.text()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(string.printable).filter(lambda one: one != text[place]))

    assert parse(text[:place] + other + text[place + 1 :], *KINDS) is None


@unhurried
@given(st.text(max_size=120))
def test_whatever_is_no_token_is_none(text):
    assert parse(text, *KINDS) is None


@unhurried
@given(secrets)
def test_neither_selector_nor_verifier_nor_hash_gives_the_key(secret):
    """TAK-28 to TAK-30: what is stored or shown is another value than the key."""
    kek, verifier = secret.kek(), secret.verifier()
    shown = hashlib.sha256(secret.text().encode()).digest()

    assert kek not in (verifier, shown, secret.secret, secret.selector.bytes)
    labels = (b"pds/1/tok/kek", b"pds/1/ses/kek")
    assert kek not in {derive(shown, label, secret.kind.encode()) for label in labels}


@unhurried
@given(secrets)
def test_the_same_bytes_as_another_kind_are_another_secret(secret):
    """A refresh token is no access token, whatever its bytes."""
    for kind in KINDS:
        if kind != secret.kind:
            other = TokenSecret(kind, secret.selector, secret.secret)
            assert other.kek() != secret.kek()
            assert not other.matches(secret.verifier())


def test_fresh_tokens_are_all_different():
    """TAK-60."""
    selector = random_uuid()

    assert len({mint("at", selector).secret for _ in range(2_000)}) == 2_000


@unhurried
@given(secrets)
def test_what_is_printed_of_a_token_is_its_selector(secret):
    """TAK-52, TAK-61."""
    printed = f"{secret!r} {secret}"

    assert secret.secret.hex() not in printed
    assert repr(secret.secret) not in printed
    assert str(secret.selector) in printed
