"""C2SP tlog-checkpoint and tlog-cosignature v1."""

from __future__ import annotations

from itertools import count

import pytest

from consent.formats.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consent.formats.cosignature import CosignatureVerifier, Cosigner, cosigned_at
from consent.formats.errors import FormatError, MalformedError, VerificationError
from consent.formats.note import Signer, Verifier, open_note, sign
from consent.formats.trust import Trust
from consent.formats.witness_policy import Quorum
from tests.support.vectors import load

ORIGIN = "vault.example/log"
TREE = Checkpoint(ORIGIN, 20852163, bytes(range(32)))
LOG = Signer.generate(ORIGIN)


def witness(name="witness.example/w1", at=1679315147):
    return Cosigner.generate(name, now=lambda: at)


def test_the_text_is_origin_size_and_root():
    assert Checkpoint("a", 0, bytes(32)).to_text() == "a\n0\n" + "A" * 43 + "=\n"


def test_the_specifications_example_is_read():
    text = load("note")["checkpoint_example"]

    checkpoint = Checkpoint.from_text(text)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.to_text() == text


def test_extension_lines_are_kept():
    text = TREE.to_text() + "extension one\ntwo\n"

    assert Checkpoint.from_text(text).extensions == ("extension one", "two")
    assert Checkpoint.from_text(text).to_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\n" + "A" * 43 + "=\n",
        "a\n-1\n" + "A" * 43 + "=\n",
        "a\n9223372036854775808\n" + "A" * 43 + "=\n",
        "a\n1\nAAAA\n",
        "a\n1\n" + "A" * 43 + "=",
        "\n1\n" + "A" * 43 + "=\n",
        "a\n1\n" + "A" * 43 + "=\n\n",
        "a\n\u0661\n" + "A" * 43 + "=\n",
    ],
    ids=repr,
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(MalformedError):
        Checkpoint.from_text(text)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("", 1, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 1, bytes(31)),
        Checkpoint("a", 1, bytes(32), ("",)),
        Checkpoint("a", 1, bytes(32), ("one\ntwo",)),
    ],
    ids=repr,
)
def test_a_checkpoint_that_could_not_be_read_again_is_not_written(checkpoint):
    with pytest.raises(MalformedError):
        checkpoint.to_text()


def test_the_logs_key_opens_its_checkpoint():
    opened = open_checkpoint(sign_checkpoint(TREE, [LOG]), log_keys=[LOG.verifier])

    assert opened.checkpoint == TREE


def test_a_witness_alone_does_not_vouch_for_a_checkpoint():
    seen = witness()
    note = sign_checkpoint(TREE, [seen])

    with pytest.raises(VerificationError):
        open_checkpoint(note, log_keys=[LOG.verifier], witnesses=[seen.verifier])


def test_another_logs_key_does_not_vouch_for_this_origin():
    """Two logs of one caller: the one may not speak for the other."""
    other = Signer.generate("other.example/log")
    note = sign_checkpoint(TREE, [other])

    with pytest.raises(VerificationError):
        open_checkpoint(note, log_keys=[LOG.verifier, other.verifier])


def test_a_signed_text_that_is_no_checkpoint_is_refused():
    with pytest.raises(MalformedError):
        open_checkpoint(sign("hello\n", [LOG]), log_keys=[LOG.verifier])


def test_a_cosignature_tells_who_saw_the_tree_and_when():
    seen = witness()
    note = sign_checkpoint(TREE, [LOG, seen])

    opened = open_checkpoint(note, log_keys=[LOG.verifier], witnesses=[seen.verifier])

    assert [each.name for each in opened.note.signatures] == [ORIGIN, "witness.example/w1"]
    assert cosigned_at(opened.note.signatures[1]) == 1679315147


def test_the_cosigned_message_is_the_specifications():
    """tlog-cosignature, "Ed25519 signed message"."""
    seen = witness()
    text = TREE.to_text()

    signature = seen.sign(text)

    assert signature[:8] == (1679315147).to_bytes(8, "big")
    message = f"cosignature/v1\ntime 1679315147\n{text}".encode()
    seen.private_key.public_key().verify(signature[8:], message)


@pytest.mark.parametrize("position", [0, 7, 8, 71])
def test_a_changed_cosignature_or_time_is_wrong(position):
    seen = witness()
    signature = bytearray(seen.sign(TREE.to_text()))
    signature[position] ^= 0x80

    with pytest.raises(VerificationError):
        seen.verifier.verify(TREE.to_text(), bytes(signature))


def test_a_plain_signature_is_no_cosignature():
    seen = witness()
    plain = Signer(seen.name, seen.private_key)

    assert plain.key_id != seen.key_id
    with pytest.raises(VerificationError):
        seen.verifier.verify(TREE.to_text(), plain.sign(TREE.to_text()))


@pytest.mark.parametrize("at", [-1, 2**63])
def test_a_clock_outside_posix_time_signs_nothing(at):
    with pytest.raises(MalformedError):
        witness(at=at).sign(TREE.to_text())


def test_keys_of_witnesses_come_back_and_are_of_their_own_type():
    seen = witness()

    again = Cosigner.from_text(seen.to_text(), now=count().__next__)

    assert again.verifier == seen.verifier
    assert CosignatureVerifier.from_text(seen.verifier.to_text()) == seen.verifier
    for read, text in (
        (Verifier.from_text, seen.verifier.to_text()),
        (Signer.from_text, seen.to_text()),
        (CosignatureVerifier.from_text, LOG.verifier.to_text()),
    ):
        with pytest.raises(MalformedError):
            read(text)


def test_the_specifications_cosigned_checkpoint_is_at_least_well_formed():
    """It carries no keys, so only the form of its lines can be checked."""
    with pytest.raises(VerificationError, match="no known key"):
        open_note(load("note")["cosigned_example"], [LOG.verifier])


def test_a_quorum_counts_keys_not_names():
    one = witness()
    twin = Cosigner("witness.example/twin", one.private_key, one.now)
    other = witness("witness.example/w2")
    keys = (one.verifier, twin.verifier, other.verifier)
    trust = Trust(witnesses=keys, quorum=Quorum.of(2, keys))

    note = sign_checkpoint(TREE, [LOG, one, twin])
    with pytest.raises(VerificationError, match="1 known witnesses"):
        trust.open(note, [LOG.verifier])

    note = sign_checkpoint(TREE, [LOG, one, other])
    assert trust.open(note, [LOG.verifier]) == TREE


def test_nothing_but_a_format_error_comes_from_a_checkpoint():
    with pytest.raises(FormatError):
        open_checkpoint("\ud800", log_keys=[LOG.verifier])
