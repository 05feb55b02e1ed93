"""Epochs of a log: their names, and what proves that one continues another (LOG-22)."""

from __future__ import annotations

import pytest

from consent.formats import merkle
from consent.formats.checkpoint import Checkpoint, sign_checkpoint
from consent.formats.epochs import (
    first_entry,
    is_same_or_later,
    split_origin,
    verify_continuation,
)
from consent.formats.errors import FormatError, MalformedError, VerificationError
from consent.formats.note import Signer
from consent.formats.proof import Proof
from tests.support.vectors import load

VECTORS = load("epoch")
FIRST = Signer.generate("vault.example/log")
SECOND = Signer("vault.example/log/2", FIRST.private_key)
THIRD = Signer("vault.example/log/3", FIRST.private_key)
KEYS = [each.verifier for each in (FIRST, SECOND, THIRD)]
LAST = sign_checkpoint(Checkpoint(FIRST.name, 40, bytes(range(32))), [FIRST])


def continuation(note=LAST, signer=SECOND, *, entry=None, index=0):
    leaves = [merkle.leaf_hash(entry or first_entry(note)), merkle.leaf_hash(b"more")]
    if index:
        leaves.reverse()
    read = merkle.leaves_reader(leaves)
    signed = sign_checkpoint(Checkpoint(signer.name, 2, merkle.root_at(read, 2)), [signer])
    return Proof(index, tuple(merkle.inclusion_proof(read, index, 2)), signed, note.encode())


def test_an_epoch_is_the_end_of_an_origin():
    assert split_origin("vault.example/log") == ("vault.example/log", 1)
    assert split_origin("vault.example/log/2") == ("vault.example/log", 2)
    assert split_origin("vault.example/log/12") == ("vault.example/log", 12)
    for other in ("vault.example/log/1", "vault.example/log/02", "vault.example/log/x", "2"):
        assert split_origin(other) == (other, 1)


def test_later_epochs_are_told_from_other_logs():
    one, two, three = FIRST.name, SECOND.name, THIRD.name

    for later, than in [(one, one), (two, one), (three, one), (three, two), (two, two)]:
        assert is_same_or_later(later, than=than)
    for later, than in [(one, two), (two, three), (two, "other.example/log"), (two, "other/2")]:
        assert not is_same_or_later(later, than=than)


def test_a_continuation_names_both_trees():
    last, new = verify_continuation(continuation(), log_keys=KEYS)

    assert (last.checkpoint.origin, last.checkpoint.size) == (FIRST.name, 40)
    assert (new.checkpoint.origin, new.checkpoint.size) == (SECOND.name, 2)
    later = sign_checkpoint(Checkpoint(SECOND.name, 9, bytes(32)), [SECOND])
    verify_continuation(continuation(later, THIRD), log_keys=KEYS)


@pytest.mark.parametrize(
    "proof",
    [
        continuation(signer=THIRD),
        continuation(sign_checkpoint(Checkpoint(SECOND.name, 9, bytes(32)), [SECOND]), SECOND),
        continuation(sign_checkpoint(Checkpoint(SECOND.name, 9, bytes(32)), [SECOND]), FIRST),
        continuation(entry=first_entry(LAST.replace("\n40\n", "\n39\n"))),
        continuation(LAST.replace("\n40\n", "\n39\n")),
        continuation(index=1),
    ],
    ids=["skipped", "itself", "backwards", "of-another", "not-signed", "elsewhere"],
)
def test_what_does_not_follow_is_refused(proof):
    with pytest.raises(VerificationError):
        verify_continuation(proof, log_keys=KEYS)


def test_without_the_checkpoint_before_there_is_no_continuation():
    for extra in (None, b"", b"\xff"):
        proof = continuation()
        broken = Proof(0, proof.hashes, proof.checkpoint, extra)
        with pytest.raises(FormatError):
            verify_continuation(broken, log_keys=KEYS)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_vectors(case):
    from_text = Proof.from_text
    keys = [Signer.from_text(skey).verifier for skey in VECTORS["skeys"]]

    if case["expect"] == "ok":
        last, new = verify_continuation(from_text(case["proof"]), log_keys=keys)
        assert (last.checkpoint.size, new.checkpoint.size) == (case["last"], case["size"])
        assert first_entry(case["checkpoint"]).hex() == case["entry"]
        return
    error = {"malformed": MalformedError, "verification": VerificationError}[case["expect"]]
    with pytest.raises(error):
        verify_continuation(from_text(case["proof"]), log_keys=keys)
