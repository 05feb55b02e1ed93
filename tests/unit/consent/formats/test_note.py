"""C2SP signed-note."""

from __future__ import annotations

import pytest

from consent.formats.encoding import b64
from consent.formats.errors import FormatError, MalformedError, VerificationError
from consent.formats.note import Signer, Verifier, open_note, sign, signature_line
from tests.support.vectors import load

VECTORS = load("note")
ERRORS = {"verification": VerificationError, "malformed": MalformedError}
TEXT = "first line\n\nafter an empty one\n"


@pytest.mark.parametrize("case", VECTORS["notes"], ids=lambda case: case["name"])
def test_frozen_notes_open_or_do_not(case):
    def open_it():
        return open_note(case["note"], [Verifier.from_text(vkey) for vkey in case["vkeys"]])

    if case["expect"] == "ok":
        assert open_it().text == case["text"]
    else:
        with pytest.raises(ERRORS[case["expect"]]):
            open_it()


@pytest.mark.parametrize("vkey", VECTORS["malformed_vkeys"], ids=repr)
def test_what_is_no_vkey_is_refused(vkey):
    with pytest.raises(MalformedError):
        Verifier.from_text(vkey)


def test_the_key_of_gos_documentation_signs_as_it_does_there():
    """golang.org/x/mod/sumdb/note, example of Sign."""
    example = VECTORS["go_example"]
    signer = Signer.from_text(example["skey"])

    assert sign(example["text"], [signer]) == example["note"]
    assert signer.verifier.to_text() == example["vkey"]
    assert signer.to_text() == example["skey"]


@pytest.mark.parametrize("position", range(0, 78, 3))
def test_every_change_of_a_private_key_is_noticed(position):
    text = VECTORS["go_example"]["skey"]
    changed = text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1 :]

    with pytest.raises(MalformedError):
        Signer.from_text(changed)
    with pytest.raises(MalformedError):
        Signer.from_text(text[:position])


def test_a_signer_shows_no_secret():
    signer = Signer.generate("log.example")

    secret = signer.to_text().rpartition("+")[2]
    assert secret not in repr(signer)


def test_a_note_may_have_several_signatures_and_unknown_ones_are_ignored():
    known, other, unknown = (Signer.generate(name) for name in ("a", "b", "c"))
    note = sign(TEXT, [unknown, known, other])

    opened = open_note(note, [known.verifier, other.verifier])

    assert opened.text == TEXT
    assert [signature.name for signature in opened.signatures] == ["a", "b"]


def test_a_second_signature_by_the_same_key_is_dropped():
    signer = Signer.generate("a")
    note = sign(TEXT, [signer])
    spoiled = signature_line("another text\n", signer)

    assert len(open_note(note + spoiled, [signer.verifier]).signatures) == 1


def test_one_wrong_signature_of_a_known_key_spoils_the_note():
    good, bad = Signer.generate("a"), Signer.generate("b")
    note = sign(TEXT, [good]) + signature_line("another text\n", bad)

    with pytest.raises(VerificationError):
        open_note(note, [good.verifier, bad.verifier])
    assert open_note(note, [good.verifier]).text == TEXT


def test_a_note_nobody_known_has_signed_is_not_opened():
    note = sign(TEXT, [Signer.generate("a")])

    for verifiers in ([], [Signer.generate("a").verifier]):
        with pytest.raises(VerificationError):
            open_note(note, verifiers)


def test_keys_that_share_name_and_id_are_ambiguous():
    verifier = Signer.generate("a").verifier

    with pytest.raises(MalformedError):
        open_note(sign(TEXT, [Signer.generate("b")]), [verifier, verifier])


def test_the_text_cannot_be_moved_into_another_note():
    signer = Signer.generate("a")
    line = sign(TEXT, [signer]).rpartition("\n\n")[2]

    with pytest.raises(VerificationError):
        open_note("more\n" + TEXT + "\n" + line, [signer.verifier])


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "\x00\n", "\ud800\n", "cr\r\n"])
def test_texts_that_no_note_can_hold_are_not_signed(text):
    with pytest.raises(MalformedError):
        sign(text, [Signer.generate("a")])


@pytest.mark.parametrize("count", [0, 101])
def test_a_note_has_1_to_100_signatures(count):
    signer = Signer.generate("a")
    with pytest.raises(MalformedError):
        sign(TEXT, [signer] * count)
    with pytest.raises(MalformedError):
        open_note(TEXT + "\n" + signature_line(TEXT, signer) * count, [signer.verifier])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "\ud800"], ids=repr)
def test_names_that_no_key_can_have_are_refused(name):
    with pytest.raises(MalformedError):
        Signer.generate(name)


def test_a_key_has_32_bytes():
    with pytest.raises(MalformedError):
        Verifier("a", b"short")


@pytest.mark.parametrize(
    "line",
    [
        "— a " + b64(b"1234") + "\n",
        "- a " + b64(b"1234sig") + "\n",
        "— a\n",
        "—  " + b64(b"1234sig") + "\n",
        "— a+b " + b64(b"1234sig") + "\n",
        "— a\u3000b " + b64(b"1234sig") + "\n",
        "— a YR==\n",
        "— a " + b64(b"1234sig"),
        "\n",
        "",
    ],
    ids=repr,
)
def test_a_malformed_signature_line_spoils_the_note(line):
    signer = Signer.generate("a")

    with pytest.raises(FormatError):
        open_note(sign(TEXT, [signer]) + line if line else TEXT, [signer.verifier])
