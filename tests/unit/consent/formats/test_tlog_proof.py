"""C2SP tlog-proof@v1."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent.formats.encoding import b64
from consent.formats.errors import FormatError, MalformedError, VerificationError
from consent.formats.proof import HEADER, Proof
from tests.support.evidence import story

LOG = story()
TEXT = LOG.proof(4)
KEYS = {"log_keys": [LOG.signer.verifier]}
HASH = b64(bytes(32))


def test_the_proof_of_an_entry_verifies():
    checkpoint = Proof.from_text(TEXT).verify(LOG.entries[4], **KEYS).checkpoint

    assert checkpoint.size == 8


def test_it_is_the_specifications_layout():
    lines = TEXT.split("\n")

    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 4"
    assert lines[6] == ""
    assert TEXT.endswith(LOG.checkpoint())


def test_a_proof_in_a_tree_of_one_has_no_hashes_and_extra_may_be_absent():
    text = f"{HEADER}\nindex 0\n\ncheckpoint\n"

    assert Proof.from_text(text) == Proof(0, (), "checkpoint\n")
    assert Proof.from_text(text).to_text() == text


def test_of_another_entry_it_proves_nothing():
    for entry in (LOG.entries[5], b""):
        with pytest.raises(VerificationError):
            Proof.from_text(TEXT).verify(entry, **KEYS)


@pytest.mark.parametrize(
    "change",
    [
        {"index": 5},
        {"hashes": ()},
        {"hashes": (bytes(32),) * 3},
        {"checkpoint": LOG.checkpoint(7)},
        {"checkpoint": LOG.checkpoint().replace("\n8\n", "\n9\n")},
    ],
    ids=repr,
)
def test_a_changed_proof_does_not_verify(change):
    with pytest.raises(FormatError):
        replace(Proof.from_text(TEXT), **change).verify(LOG.entries[4], **KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        f"{HEADER}\n\n",
        f"{HEADER}\nextra AA==\n\nc\n",
        f"{HEADER}\nindex 01\n\nc\n",
        f"{HEADER}\nindex -1\n\nc\n",
        f"{HEADER}\nindex \u0661\n\nc\n",
        f"{HEADER}\nindex 9223372036854775807\n\nc\n",
        f"{HEADER}\nindex 0\nextra AA==\n\nc\n",
        f"{HEADER}\nextra AB==\nindex 0\n\nc\n",
        f"{HEADER}\nindex 0\nAAAA\n\nc\n",
        f"{HEADER}\nindex 0\n{HASH}",
        f"{HEADER}\nindex 0\n" + f"{HASH}\n" * 64 + "\nc\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nc\n",
    ],
    ids=lambda text: repr(text[:60]),
)
def test_other_layouts_are_refused(text):
    with pytest.raises(MalformedError):
        Proof.from_text(text)


@pytest.mark.parametrize(
    "proof", [Proof(-1, (), "c"), Proof(0, (b"short",), "c"), Proof(0, (bytes(32),) * 64, "c")]
)
def test_a_proof_that_could_not_be_read_again_is_not_written(proof):
    with pytest.raises(MalformedError):
        proof.to_text()
