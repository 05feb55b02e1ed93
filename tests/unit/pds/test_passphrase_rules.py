"""Passphrases: what is good enough, and the cost of trying one (P-17, TAK-15 to TAK-18)."""

from __future__ import annotations

import pytest

from pds import passphrases
from pds.crypto.passphrase import (
    CEILING,
    FLOOR,
    Argon2Parameters,
    from_passphrase,
    from_recovery_code,
    new_recovery_code,
    new_salt,
    normalise,
)
from pds.errors import DecryptionError
from pds.ids import random_uuid

CHEAPEST = Argon2Parameters(47_104, 1, 1)


def keys(**changes):
    values = {
        "passphrase": "correct horse",
        "salt": bytes(16),
        "parameters": CHEAPEST,
        "pepper": b"p" * 32,
        "account": bytes(16),
    }
    values |= changes
    found = from_passphrase(values.pop("passphrase"), **values)
    return found.verifier, found.kek


def test_offered_passphrases_are_six_words_and_good_enough():
    """P-17."""
    offered = {passphrases.generate() for _ in range(20)}

    assert len(offered) == 20
    assert {len(one.split()) for one in offered} == {6}
    assert [one for one in offered if passphrases.judge(one)] == []


@pytest.mark.parametrize(
    ("passphrase", "context", "rule"),
    [
        ("fourteen chars", (), "passphrase_too_short"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", (), "passphrase_guessable"),
        ("qwertyuiopasdfghjkl", (), "passphrase_guessable"),
        ("azerbaijanazerbaijan", (), "passphrase_guessable"),
        ("elvinquliyevelvinquliyev", ("elvinquliyev",), "passphrase_guessable"),
        ("x" * 257, (), "passphrase_too_long"),
    ],
)
def test_a_passphrase_that_can_be_guessed_is_refused_with_its_rule(passphrase, context, rule):
    """P-17, SEC-S01, SEC-S02: and the message never quotes it."""
    issue = passphrases.judge(passphrase, context=context)

    assert issue.rule == rule
    assert passphrase not in f"{issue.detail}{issue.params}"


@pytest.mark.parametrize(
    "passphrase", ["violet engine harbour ticket", "9f!kQ2#zPw7$Lm4x", "ə" * 3]
)
def test_there_are_no_rules_of_composition(passphrase):
    """SEC-S01: length and guesses count, nothing else."""
    issue = passphrases.judge(passphrase)

    assert issue is None or issue.rule == "passphrase_too_short"


def test_judging_a_long_one_takes_no_long_time():
    """zxcvbn grows with the square of the length."""
    assert passphrases.judge(("violet engine harbour ticket museum " * 8)[:256]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"salt": b"s" * 16},
        {"parameters": Argon2Parameters(47_104, 2, 1)},
        {"pepper": b"q" * 32},
        {"account": b"a" * 16},
        {"passphrase": "correct horsf"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_salt_cost_pepper_account_and_passphrase_all_enter_both_keys(change):
    """TAK-16: the pepper enters the KEK too, since the wrapped root key is an oracle."""
    mine, other = keys(), keys(**change)

    assert mine[0] != other[0]
    assert mine[1] != other[1]
    assert len({*mine, *other}) == 4


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("çay", "c\u0327ay"),
        ("ﬁn", "fin"),
        ("Å", "\u212b"),
        ("①", "1"),
    ],
)
def test_two_spellings_of_one_passphrase_are_one(one, same):
    """P-17: NFKC."""
    assert normalise(one) == normalise(same)
    assert normalise("İ") != normalise("I")


@pytest.mark.parametrize(
    "parameters",
    [FLOOR, CEILING, Argon2Parameters(), CHEAPEST],
    ids=["floor", "ceiling", "default", "cheapest"],
)
def test_parameters_are_written_and_read_back(parameters):
    assert Argon2Parameters.decoded(parameters.encoded()) == parameters


@pytest.mark.parametrize(
    "text",
    [
        f"argon2id$m={FLOOR.memory_kib - 1},t=1,p=1",
        f"argon2id$m={CEILING.memory_kib + 1},t=1,p=1",
        "argon2id$m=47104,t=0,p=1",
        "argon2id$m=47104,t=17,p=1",
        "argon2id$m=47104,t=1,p=0",
        "argon2id$m=47104,t=1,p=17",
        "argon2d$m=47104,t=1,p=1",
        "argon2id$m=47104,t=1",
        "argon2id$m=x,t=1,p=1",
        "argon2id",
        "argon2id$m=47104$t=1",
        "",
    ],
)
def test_parameters_out_of_bounds_are_refused(text):
    """TAK-17, SEC-S04: a floor against cheap guesses, a ceiling against exhaustion."""
    with pytest.raises(DecryptionError):
        Argon2Parameters.decoded(text)


def test_a_recovery_code_has_160_bits_and_is_typed_as_people_type():
    """SEC-S08."""
    account, code = random_uuid().bytes, new_recovery_code()
    assert [len(group) for group in code.split("-")] == [4] * 8
    expected = from_recovery_code(code, account=account)

    for typed in (code.lower(), code.replace("-", ""), code.replace("-", " "), f"  {code}\n"):
        found = from_recovery_code(typed, account=account)
        assert (found.verifier, found.kek) == (expected.verifier, expected.kek)
    other = from_recovery_code(code, account=bytes(16))
    assert {other.verifier, other.kek}.isdisjoint({expected.verifier, expected.kek})


@pytest.mark.parametrize("code", ["", "AAAA", "A" * 31, "A" * 40, "1" * 32, "ə" * 32, "=" * 32])
def test_what_has_not_the_form_of_a_code_is_refused(code):
    with pytest.raises(DecryptionError):
        from_recovery_code(code, account=bytes(16))


def test_salts_and_codes_are_fresh():
    assert len({new_salt() for _ in range(500)}) == 500
    assert len({new_recovery_code() for _ in range(500)}) == 500


def test_what_is_printed_of_unlock_keys_shows_neither():
    """TAK-52."""
    found = from_recovery_code(new_recovery_code(), account=bytes(16))

    assert found.kek.hex() not in repr(found)
    assert repr(found.kek) not in repr(found)
