"""The sealed box and what is made of it (TAK-9, TAK-19 to TAK-24, SEC-S56 to S60, REL-R9)."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.crypto import labels, sealed_box
from pds.crypto.deposit import collection_public_key, open_deposit, seal_deposit
from pds.crypto.labels import derive, lp
from pds.crypto.passphrase import Argon2Parameters, from_passphrase, from_recovery_code
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad, version_of
from pds.errors import DecryptionError
from tests.support.vectors import load

unhurried = settings(deadline=None)
VECTORS = load("sealed_box")
KEY = bytes(range(32))
keys = st.binary(min_size=32, max_size=32)
contexts = st.lists(st.binary(max_size=20), max_size=6)
kinds = st.sampled_from(list(Kind))
versions = st.integers(0, 2**32 - 1)


def opened(case):
    return open_box(
        bytes.fromhex(case["key"]),
        bytes.fromhex(case["box"]),
        kind=Kind[case["kind"]],
        fields=[bytes.fromhex(field) for field in case["fields"]],
        key_version=case["key_version"],
    )


@pytest.mark.parametrize("case", VECTORS["boxes"], ids=lambda case: case["name"])
def test_the_frozen_boxes_open_or_fail_as_they_always_did(case):
    """REL-R9, SEC-S64."""
    if case["expect"] == "ok":
        assert opened(case).hex() == case["plaintext"]
        return
    with pytest.raises(DecryptionError) as failed:
        opened(case)
    # SEC-S59: whatever is wrong, the same error without a word.
    assert (failed.value.code, str(failed.value)) == (case["expect"], "")


def test_the_frozen_box_is_what_its_layout_says():
    """TAK-19, TAK-20: recomputed here without any code of the package."""
    case = VECTORS["boxes"][0]
    box, key = bytes.fromhex(case["box"]), bytes.fromhex(case["key"])
    fields = [bytes.fromhex(field) for field in case["fields"]]
    joined = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    header, salt, commitment = box[:8], box[8:40], box[40:72]

    def prefixed(part):
        return len(part).to_bytes(4, "big") + part

    info = (
        b"pds/1/seal\x00"
        + prefixed(b"\x01")
        + prefixed(b"\x01")
        + prefixed(hashlib.sha256(joined).digest())
    )
    secret = hmac.digest(salt, key, "sha512")
    okm = hmac.digest(secret, info + b"\x01", "sha512")

    assert header == bytes([0x53, 1, 1, 1, 0, 0, 0, 1])
    assert commitment == okm[32:]
    aad = header + salt + commitment + joined
    assert AESGCM(okm[:32]).decrypt(bytes(12), box[72:], aad).hex() == case["plaintext"]


def test_the_frozen_deposit_opens():
    """REL-R9, TAK-24."""
    case = {
        name: [bytes.fromhex(one) for one in value]
        if isinstance(value, list)
        else bytes.fromhex(value)
        for name, value in VECTORS["deposit"].items()
    }

    assert collection_public_key(case["collection_key"]) == case["public_key"]
    plaintext = open_deposit(
        case["collection_key"],
        case["deposit"],
        deposit_key=case["deposit_key"],
        fields=case["fields"],
    )
    assert plaintext == case["plaintext"]


def test_the_frozen_passphrase_and_recovery_code_give_the_same_keys():
    """REL-R9, TAK-15, TAK-16."""
    case = VECTORS["passphrase"]
    keys_ = from_passphrase(
        case["passphrase"],
        salt=bytes.fromhex(case["salt"]),
        parameters=Argon2Parameters.decoded(case["parameters"]),
        pepper=bytes.fromhex(case["pepper"]),
        account=bytes.fromhex(case["account"]),
    )
    assert (keys_.verifier.hex(), keys_.kek.hex()) == (case["verifier"], case["kek"])
    case = VECTORS["recovery_code"]
    keys_ = from_recovery_code(case["code"], account=bytes.fromhex(case["account"]))
    assert (keys_.verifier.hex(), keys_.kek.hex()) == (case["verifier"], case["kek"])


@unhurried
@given(keys, st.binary(max_size=300), kinds, versions, contexts)
def test_what_is_sealed_opens_again(key, plaintext, kind, version, fields):
    box = seal(key, plaintext, kind=kind, key_version=version, fields=fields)

    assert open_box(key, box, kind=kind, fields=fields, key_version=version) == plaintext
    assert open_box(key, box, kind=kind, fields=fields) == plaintext
    assert version_of(box) == version
    assert len(box) == len(plaintext) + sealed_box.OVERHEAD_BYTES


@unhurried
@given(contexts, st.data())
def test_every_field_altered_alone_fails(fields, data):
    """SEC-S56: one changed, one dropped, one added, two joined, two swapped."""
    box = seal(KEY, b"secret", kind=Kind.RECORD, key_version=1, fields=fields)
    others = [[*fields, b""], [b"", *fields]]
    for place, field in enumerate(fields):
        changed = data.draw(st.binary(max_size=20).filter(lambda one, old=field: one != old))
        others.append([*fields[:place], changed, *fields[place + 1 :]])
        others.append(fields[:place] + fields[place + 1 :])
        if place:
            joined = fields[place - 1] + field
            others.append([*fields[: place - 1], joined, *fields[place + 1 :]])
            if fields[place - 1] != field:
                others.append(
                    [*fields[: place - 1], field, fields[place - 1], *fields[place + 1 :]]
                )

    for other in others:
        with pytest.raises(DecryptionError):
            open_box(KEY, box, kind=Kind.RECORD, fields=other)


def test_every_flipped_bit_fails():
    """SEC-S64, TAK-22."""
    box = seal(KEY, b"secret", kind=Kind.WRAP, key_version=1, fields=[b"a"])

    for bit in range(len(box) * 8):
        damaged = bytearray(box)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecryptionError):
            open_box(KEY, bytes(damaged), kind=Kind.WRAP, fields=[b"a"])


@unhurried
@given(st.binary(max_size=200))
def test_what_is_no_box_is_a_decryption_error_and_nothing_else(noise):
    with pytest.raises(DecryptionError):
        open_box(KEY, noise, kind=Kind.WRAP, fields=[])


@unhurried
@given(keys.filter(lambda key: key != KEY))
def test_a_box_opens_under_one_key_alone(other):
    """TAK-9: the commitment ends partitioning oracles."""
    box = seal(KEY, b"secret", kind=Kind.WRAP, key_version=1, fields=[])

    with pytest.raises(DecryptionError):
        open_box(other, box, kind=Kind.WRAP, fields=[])


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(DecryptionError):
        seal(bytes(length), b"", kind=Kind.WRAP, key_version=1, fields=[])


def test_no_salt_is_used_twice():
    """SEC-S57: the zero nonce rests on it."""
    boxes = [seal(KEY, b"", kind=Kind.WRAP, key_version=1, fields=[]) for _ in range(5_000)]

    assert len({box[8:40] for box in boxes}) == len(boxes)
    assert len({box[72:] for box in boxes}) == len(boxes)


@unhurried
@given(st.binary(max_size=5_000))
def test_padding_comes_off_again(plaintext):
    """TAK-23, also when the content ends in zeros or in the mark itself."""
    for content in (plaintext, plaintext + b"\x80", plaintext + bytes(3)):
        assert unpad(pad(content)) == content


@unhurried
@given(st.integers(0, 1_000_000))
def test_padded_lengths_are_padme_lengths(length):
    """TAK-23: at most 12 % longer above the first bucket, and few different lengths."""
    padded = sealed_box.padded_bytes(length + 1)

    assert padded >= max(64, length + 1)
    assert padded <= max(64, (length + 1) * 1.12 + 1)
    exponent = padded.bit_length() - 1
    trailing = exponent - exponent.bit_length()
    assert padded % (1 << trailing) == 0


@pytest.mark.parametrize("noise", [b"", b"\x00", b"abc", b"\x80a", bytes(64)])
def test_what_has_no_padding_mark_is_refused(noise):
    with pytest.raises(DecryptionError):
        unpad(noise)


@unhurried
@given(contexts, contexts)
def test_length_prefixes_make_joins_unambiguous(first, second):
    """TAK-20."""
    assert (lp(first) == lp(second)) == (first == second)


def test_the_label_list_is_frozen():
    """TAK-14, SEC-S55: a change here is a change of the key hierarchy."""
    found = {
        value.decode()
        for name, value in vars(labels).items()
        if name.isupper() and isinstance(value, bytes)
    }

    assert found == {
        "pds/1/device/mark",
        "pds/1/instance/source",
        "pds/1/notice/code",
        "pds/1/seal",
        "pds/1/webhook/ed25519",
        "pds/1/deposit",
        "pds/1/vault/staging",
        "pds/1/vault/files",
        "pds/1/file/stream",
        "pds/1/vault/invitation",
        "pds/1/vault/lists",
        "pds/1/engagement/pseudonym",
        "pds/1/prf/kek",
        *(f"pds/1/pw/{name}" for name in ("auth", "kek")),
        *(f"pds/1/rc/{name}" for name in ("auth", "kek")),
        *(f"pds/1/tok/{name}" for name in ("lookup", "kek")),
        *(f"pds/1/ses/{name}" for name in ("id", "kek")),
        *(f"pds/1/ck/{name}" for name in ("rec", "hpke", "index")),
        *(f"pds/1/gk/{name}" for name in ("rid", "deposit", "audit", "etag", "terms")),
        *(
            f"pds/1/instance/{name}"
            for name in (
                *("id", "cursor", "csrf", "route", "pairwise", "pseudonym"),
                *("at-rest", "login-tag"),
            )
        ),
    }


@unhurried
@given(keys, contexts, contexts)
def test_derived_keys_differ_by_label_and_context(key, first, second):
    """TAK-14, TAK-28: separate labels, separate keys."""
    assert derive(key, labels.TOKEN_LOOKUP) != derive(key, labels.TOKEN_KEK)
    same = derive(key, labels.TOKEN_KEK, *first) == derive(key, labels.TOKEN_KEK, *second)
    assert same == (first == second)


def test_derivation_is_extract_and_expand():
    """TAK-29: RFC 5869, so that nothing keyed with a token's text equals one keyed by its hash."""
    key, info = b"k" * 32, b"pds/1/tok/kek\x00" + lp([b"at"])
    secret = hmac.digest(bytes(32), key, "sha256")

    assert derive(key, labels.TOKEN_KEK, b"at") == hmac.digest(secret, info + b"\x01", "sha256")


COLLECTION_KEY, DEPOSIT_KEY = b"c" * 32, b"d" * 32


def deposited(fields, plaintext=b"document"):
    return seal_deposit(
        collection_public_key(COLLECTION_KEY),
        plaintext,
        key_version=1,
        deposit_key=DEPOSIT_KEY,
        fields=fields,
    )


@unhurried
@given(st.binary(max_size=300), contexts)
def test_a_deposit_opens_with_the_collection_key_and_the_grants_mac(plaintext, fields):
    """TAK-24."""
    box = deposited(fields, plaintext)

    assert open_deposit(COLLECTION_KEY, box, deposit_key=DEPOSIT_KEY, fields=fields) == plaintext


def test_a_deposit_fails_with_any_bit_field_or_key_changed():
    """TAK-24, SEC-S56, SEC-S59."""
    box = deposited([b"vault", b"grant"])

    def attempt(
        box=box, collection_key=COLLECTION_KEY, mac=DEPOSIT_KEY, fields=(b"vault", b"grant")
    ):
        with pytest.raises(DecryptionError):
            open_deposit(collection_key, box, deposit_key=mac, fields=fields)

    for place in range(0, len(box), 3):
        damaged = bytearray(box)
        damaged[place] ^= 0x40
        attempt(box=bytes(damaged))
    attempt(box=box[:-1])
    attempt(box=b"")
    attempt(collection_key=b"x" * 32)
    attempt(mac=b"x" * 32)
    attempt(fields=(b"vault", b"other"))
    attempt(fields=(b"vaultgrant",))


def test_whoever_knows_the_public_key_alone_makes_no_deposit():
    """P-18: anyone can encrypt to it; only the grant can have signed it off."""
    box = seal_deposit(
        collection_public_key(COLLECTION_KEY),
        b"forged",
        key_version=1,
        deposit_key=bytes(32),
        fields=[],
    )

    with pytest.raises(DecryptionError):
        open_deposit(COLLECTION_KEY, box, deposit_key=DEPOSIT_KEY, fields=[])
